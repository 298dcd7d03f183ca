"""Two workers, each a process of its own: they train as one device does, stop together, and go on together."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods import build
from keras_simsiam.training import run
from keras_simsiam.training.config import load_config
from keras_simsiam.views.batches import view_batches
from tests import worker
from tfrecords import Dataset

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = ["--modality=rgb", "--image_size=16", "--batch_size=8", "--knn_k=3", "--distribution=multiworker"]

pytestmark = pytest.mark.slow  # each starts two processes


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """48 training frames: 6 steps an epoch."""
    path = tmp_path_factory.mktemp("data") / "synthetic"
    sizes = ["--train_instances=2", "--test_instances=1", "--frames_per_instance=3"]
    command = [sys.executable, "-m", "tfrecords.build", "--source=synthetic", f"--output={path}", *sizes]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return str(path)


def _free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def _train(data_dir, workdir, *changes, signals=(None, None)):
    """Both workers' exit status and what they wrote to stdout and stderr."""
    cluster = {"worker": [_free_address(), _free_address()]}
    flags = [f"--data_dir={data_dir}", f"--workdir={workdir}", *FLAGS, *changes]
    processes = []
    for index, at in enumerate(signals):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        own = {"TF_CONFIG": json.dumps(task), "PYTHONPATH": str(ROOT)} | ({"SIGNAL_AT": at} if at else {})
        command = [sys.executable, "tests/worker.py", *flags]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | own, **pipes))
    try:
        outputs = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], *zip(*outputs, strict=True)


def _metrics(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in ("epoch", "loss", "gradient_norm")} for line in lines]


def _assert_same_encoder(one, other, tolerance):
    for mine, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=tolerance)


def _share(config, dataset, index):
    """The batches of one of two workers."""
    place = tf.distribute.InputContext(2, index)
    share, count = dataset.share("train", place), dataset.splits["train"].count
    return view_batches(
        share.records("train"),
        share.decode,
        count=count // 2,
        preprocessing=config.preprocessing,
        augmentation=config.augmentation,
        batch_size=config.batch_size // 2,
        seed=config.seed,
        first_index=dataset.first_index("train", place),
    )


def _on_one_device(config):
    """An epoch's numbers and the encoder, trained in this process on the two workers' batches put together."""
    dataset = Dataset(config.data_dir)
    batches = tf.data.Dataset.zip(tuple(_share(config, dataset, index) for index in range(2))).map(
        lambda *shares: tf.nest.map_structure(lambda *rows: tf.concat(rows, axis=0), *shares)
    )
    steps = dataset.splits["train"].count // config.batch_size
    keras.utils.set_random_seed(config.seed)
    sizes = build.Sizes(steps, dataset.splits["train"].count, len(dataset.classes))
    method = build.build(
        config, worker.tiny_encoder("rgb", "", config.image_size, True), sizes=sizes, synchronized=True
    )
    method.compile(run._optimizer(config, method, steps))
    history = method.fit(batches, epochs=1, steps_per_epoch=steps, verbose=0).history
    return {name: values[0] for name, values in history.items()}, method.encoder


@pytest.mark.parametrize("method", [name for name in build.METHODS if name != "simsiam_average"])
def test_an_epoch_is_that_of_one_device_on_the_same_global_batches(data_dir, tmp_path, monkeypatch, method):
    own = {"mocov2": ["--queue_size=16"], "dino": ["--projector_width=8", "--prototypes=16"]}
    own |= {name: ["--projector_width=8"] for name in ("mocov3", "barlow", "vicreg")}
    codes, outputs, errors = _train(
        data_dir, tmp_path / "run", "--epochs=1", f"--method={method}", *own.get(method, [])
    )
    assert codes == [0, 0], errors
    assert ["encoder.keras" in output for output in outputs] == [True, False]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "checkpoints", "encoder.keras", "encoder.whitening.npz", "figures", "flags.txt", "metrics.jsonl", "tensorboard",
    }  # fmt: skip
    monkeypatch.setattr(build, "PROJECTION", 8)
    monkeypatch.setattr(build, "CONTRASTED", 8)
    numbers, encoder = _on_one_device(load_config(str(tmp_path / "run")))
    (line,) = _metrics(tmp_path / "run")
    for name in ("loss", "gradient_norm"):
        assert line[name] == pytest.approx(numbers[name], abs=2e-5 * max(1, numbers[name]))
    _assert_same_encoder(run.load_encoder(str(tmp_path / "run")), encoder, 1e-5)


def test_stopped_and_killed_they_end_as_if_they_had_not_been(data_dir, tmp_path):
    flags = ["--epochs=3", "--checkpoint_steps=2", "--method=simclr", "--knn_every=3"]
    codes, _, errors = _train(data_dir, tmp_path / "whole", *flags)
    assert codes == [0, 0], errors

    sigterm = f"3 {int(signal.SIGTERM)}"
    codes, _, errors = _train(data_dir, tmp_path / "broken", *flags, signals=(None, sigterm))
    assert codes == [143, 143], errors
    assert "ckpt-4; the same command goes on" in errors[0].splitlines()[-1]  # the next checkpoint after that step
    kill = f"5 {int(signal.SIGKILL)}"
    codes, _, _ = _train(data_dir, tmp_path / "broken", *flags, signals=(kill, kill))
    assert codes == [-9, -9] and (tmp_path / "broken" / "checkpoints" / "ckpt-8.index").exists()
    codes, _, errors = _train(data_dir, tmp_path / "broken", *flags)
    assert codes == [0, 0], errors

    assert [line["epoch"] for line in _metrics(tmp_path / "whole")] == [1, 2, 3]
    for one, other in zip(_metrics(tmp_path / "whole"), _metrics(tmp_path / "broken"), strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    _assert_same_encoder(run.load_encoder(str(tmp_path / "whole")), run.load_encoder(str(tmp_path / "broken")), 1e-6)


def test_one_worker_that_refuses_ends_both_in_a_line_each(data_dir, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    codes, _, errors = _train(data_dir, tmp_path / "run")
    assert codes == [1, 1]
    assert "holds other files" in errors[0].splitlines()[-1]
    assert errors[1].splitlines() == ["error: another worker has refused to start: its own line says why"]
