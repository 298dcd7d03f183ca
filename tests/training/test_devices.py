"""Who trains where: TF_CONFIG, the folder of each worker, the batch shared among devices, the precision of a machine."""

import json
import os

import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.training import devices
from keras_simsiam.training.devices import Devices


def _tf_config(index, kind="worker", **cluster):
    cluster = cluster or {"worker": ["a:1", "b:1"]}
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.fixture
def no_meeting(monkeypatch):
    """Of several workers only this one exists: it must not wait for the others."""
    monkeypatch.setattr(devices, "_strategy", lambda distribution: None)


@pytest.mark.parametrize(
    "text, place",
    [
        (_tf_config(0), (0, 2)),
        (_tf_config(1), (1, 2)),
        (_tf_config(0, "chief", chief=["a:1"], worker=["b:1", "c:1"]), (0, 3)),
        (_tf_config(1, chief=["a:1"], worker=["b:1", "c:1"]), (2, 3)),
    ],
)
def test_tf_config_says_which_worker_of_how_many(monkeypatch, no_meeting, text, place):
    monkeypatch.setenv("TF_CONFIG", text)
    found = Devices("multiworker")
    assert (found.worker.input_pipeline_id, found.worker.num_input_pipelines) == place
    assert found.is_chief == (place[0] == 0) and found.several_workers


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"cluster": []}', '{"cluster": {}}', _tf_config(2), _tf_config(0, "ps"), "{\n}"]
)
def test_a_tf_config_that_names_no_workers_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r"^`distribution=multiworker`: TF_CONFIG=[^\n]*set it, say, to [^\n]*$"):
        Devices("multiworker")


@pytest.mark.parametrize("kind", ["one", "mirrored"])
def test_workers_that_would_each_train_alone_are_refused(monkeypatch, kind):
    monkeypatch.setenv("TF_CONFIG", _tf_config(1))
    with pytest.raises(UserError, match=f"TF_CONFIG names 2 workers.* `distribution={kind}`: use"):
        Devices(kind)
    for text in (_tf_config(0, worker=["a:1"]), "{"):  # a cluster's for a job of one machine; nobody's
        monkeypatch.setenv("TF_CONFIG", text)
        found = Devices(kind)
        assert found.is_chief and not found.several_workers


def test_only_the_chief_writes_to_the_workdir(monkeypatch, no_meeting, tmp_path):
    with Devices("one").own_folder(str(tmp_path)) as folder:
        assert folder == str(tmp_path)
    monkeypatch.setenv("TF_CONFIG", _tf_config(1))
    with Devices("multiworker").own_folder(str(tmp_path)) as folder:
        assert folder != str(tmp_path) and os.path.isdir(folder)
    assert not os.path.exists(folder) and tmp_path.exists()


def test_a_second_object_has_the_same_strategy():
    assert Devices("mirrored").strategy is Devices("mirrored").strategy
    assert Devices("mirrored").strategy.num_replicas_in_sync == len(tf.config.list_logical_devices("CPU"))


def test_a_batch_that_the_devices_cannot_share_is_refused():
    class Three:
        num_replicas_in_sync = 3

    found = Devices("mirrored")
    found.strategy = Three()
    found.check_batch(6)
    with pytest.raises(UserError, match=r"`batch_size=7`: 3 devices of `distribution=mirrored` .* give 6 or 9$"):
        found.check_batch(7)
    with pytest.raises(UserError, match=r"give 3$"):
        found.check_batch(2)


def test_float16_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(UserError, match="`precision=mixed_float16`: there is no GPU here; use mixed_bfloat16"):
        devices.check_precision("mixed_float16")
    devices.check_precision("mixed_bfloat16")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    devices.check_precision("mixed_float16")
