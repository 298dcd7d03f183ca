"""Who trains where: TF_CONFIG, the folder of each worker, the batch shared among devices, the precision of a machine."""

import json
import os

import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.training import devices


def _tf_config(index, kind="worker", **cluster):
    cluster = cluster or {"worker": ["a:1", "b:1"]}
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    "text, place",
    [
        (_tf_config(0), (0, 2)),
        (_tf_config(1), (1, 2)),
        (_tf_config(0, "chief", chief=["a:1"], worker=["b:1", "c:1"]), (0, 3)),
        (_tf_config(1, chief=["a:1"], worker=["b:1", "c:1"]), (2, 3)),
    ],
)
def test_tf_config_says_which_worker_of_how_many(monkeypatch, text, place):
    monkeypatch.setenv("TF_CONFIG", text)
    context = devices.worker("multiworker")
    assert (context.input_pipeline_id, context.num_input_pipelines) == place
    assert devices.is_chief("multiworker") == (place[0] == 0)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"cluster": []}', '{"cluster": {}}', _tf_config(2), _tf_config(0, "ps"), "{\n}"]
)
def test_a_tf_config_that_names_no_workers_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r"^--distribution=multiworker: TF_CONFIG=[^\n]*set it, say, to [^\n]*$"):
        devices.strategy("multiworker")


@pytest.mark.parametrize("kind", ["one", "mirrored"])
def test_workers_that_would_each_train_alone_are_refused(monkeypatch, kind):
    monkeypatch.setenv("TF_CONFIG", _tf_config(1))
    with pytest.raises(UserError, match=f"TF_CONFIG names 2 workers.* --distribution={kind}: use"):
        devices.strategy(kind)
    for text in (_tf_config(0, worker=["a:1"]), "{"):  # a cluster's for a job of one machine; nobody's
        monkeypatch.setenv("TF_CONFIG", text)
        assert devices.worker(kind).num_input_pipelines == 1


def test_only_the_chief_writes_to_the_workdir(monkeypatch, tmp_path):
    with devices.own_folder("one", str(tmp_path)) as folder:
        assert folder == str(tmp_path)
    monkeypatch.setenv("TF_CONFIG", _tf_config(1))
    with devices.own_folder("multiworker", str(tmp_path)) as folder:
        assert folder != str(tmp_path) and os.path.isdir(folder)
    assert not os.path.exists(folder) and tmp_path.exists()


def test_a_batch_that_the_devices_cannot_share_is_refused(monkeypatch):
    class Three:
        num_replicas_in_sync = 3

    monkeypatch.setattr(devices, "strategy", lambda kind: Three())
    devices.check_batch("mirrored", 6)
    with pytest.raises(UserError, match=r"--batch_size=7: 3 devices of --distribution=mirrored .* give 6 or 9$"):
        devices.check_batch("mirrored", 7)
    with pytest.raises(UserError, match=r"give 3$"):
        devices.check_batch("mirrored", 2)


def test_float16_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(UserError, match="--precision=mixed_float16: there is no GPU here; use mixed_bfloat16"):
        devices.check_precision("mixed_float16")
    devices.check_precision("mixed_bfloat16")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    devices.check_precision("mixed_float16")
