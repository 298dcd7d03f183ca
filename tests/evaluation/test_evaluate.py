import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import evaluate
from keras_simsiam import run
from keras_simsiam.config import RunConfig, open_workdir
from keras_simsiam.errors import UserError
from tfrecords.example import Frame
from tfrecords.writer import Writer

COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
CLASSES = ["apple", "leaf", "plum"]


def write_dataset(path, depth=False, classes=CLASSES):
    """Frames of three colours, three quarters of them in train."""
    random = np.random.default_rng(0)
    with Writer(str(path)) as writer:
        for index in range(48):
            label = index % 3
            image = (COLOURS[label] + random.integers(-40, 40, (20, 24, 3))).astype(np.uint8)
            depth_png = tf.io.encode_png(tf.fill([20, 24, 1], tf.constant(1000, tf.uint16))).numpy() if depth else None
            png = tf.io.encode_png(image).numpy()
            frame = Frame(f"f{index}", png, depth_png, (30.0, 30.0, 11.5, 9.5), label=label if classes else -1)
            writer.add("test" if index % 4 == 3 else "train", frame)
        writer.commit({"classes": classes, "instances": []})
    return str(path)


def make_run(workdir, data_dir, modality="rgb"):
    """A run directory as training leaves it; its encoder is one of another seed."""
    config = RunConfig(data_dir, str(workdir), modality=modality, image_size=16, width=4, stem="cifar")
    open_workdir(config)
    run.untrained_encoder(dataclasses.replace(config, seed=1)).save(workdir / "encoder.keras")
    return str(workdir)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    data_dir = write_dataset(folder / "data")
    encoder = make_run(folder / "run", data_dir)
    return evaluate.Settings(
        *(encoder, data_dir, ("knn", "linear"), "test", "train", 16, str(folder / "run" / "evaluation")),
        feature_cache=str(folder / "features"),
        knn_k=5,
    )


def test_tables_results_and_figures(settings, capsys):
    encoder = Path(settings.encoder) / "encoder.keras"
    before = encoder.read_bytes()
    results = evaluate.evaluate(settings)
    printed = capsys.readouterr().out

    output = Path(settings.output)
    assert sorted(path.name for path in output.iterdir()) == [
        "confusion_knn.png",
        "confusion_linear.png",
        "predictions_knn.npz",
        "predictions_linear.npz",
        "results.json",
    ]
    assert json.loads((output / "results.json").read_text()) == json.loads(json.dumps(results))
    assert results["encoder"]["sha256"] == hashlib.sha256(before).hexdigest()
    assert encoder.read_bytes() == before
    assert results["samples"] == {"train": 36, "test": 12}
    assert results["linear"]["accuracy"]["trained encoder"]["top1"] == 1  # the colours are told apart by any encoder
    assert results["knn"]["accuracy"]["chance: always the most frequent class"]["top1"] == pytest.approx(1 / 3)
    for text in ("kNN (k=5, T=0.1)", "untrained encoder", "100.0 [ 75.8, 100.0]", "leaf", "results.json"):
        assert text in printed


def test_k_is_shown_as_it_was_used(settings, tmp_path):
    given = dataclasses.replace(settings, task=("knn",), knn_k=1000, output=str(tmp_path))
    assert "k=36 " in evaluate.evaluate(given)["knn"]["protocol"]
    assert not (tmp_path / "confusion_linear.png").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"task": ("knn", "lda")}, "--task=knn,lda: the tasks are knn, linear, linear_sgd"),
        ({"task": ()}, "the tasks are knn, linear, linear_sgd"),
        ({"split": "val"}, "no split 'val'"),
        ({"train_split": "all"}, "no split 'all'"),
        ({"split": "train"}, "both train"),
        ({"knn_k": 0}, "must be positive"),
        ({"knn_temperature": 0.0}, "must be positive"),
        ({"output": evaluate.__file__}, r"--output=.*evaluate.py cannot be made"),
        ({"data_dir": "nowhere"}, "nowhere"),
        ({"encoder": "nowhere"}, "nowhere"),
    ],
)
def test_mistakes_in_the_flags(settings, change, line):
    with pytest.raises(UserError, match=line) as error:
        evaluate.evaluate(dataclasses.replace(settings, **change))
    assert "\n" not in str(error.value)


def test_data_that_the_encoder_or_the_tasks_cannot_use(settings, tmp_path):
    rgbd = make_run(tmp_path / "run", settings.data_dir, "rgbd")
    with pytest.raises(UserError, match=r"encoder of rgbd, but .* has no depth"):
        evaluate.evaluate(dataclasses.replace(settings, encoder=rgbd))
    with pytest.raises(UserError, match="has no classes"):
        evaluate.evaluate(dataclasses.replace(settings, data_dir=write_dataset(tmp_path / "unlabelled", classes=[])))
    (tmp_path / "run" / "encoder.keras").unlink()
    data_dir = write_dataset(tmp_path / "depth", depth=True)
    with pytest.raises(UserError, match="last epoch"):
        evaluate.evaluate(dataclasses.replace(settings, encoder=rgbd, data_dir=data_dir))


@pytest.mark.slow
def test_the_command(settings):
    def call(*arguments):
        command = [sys.executable, evaluate.__file__, f"--data_dir={settings.data_dir}", *arguments]
        # as a user has it, without the log level that the tests set
        env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        return subprocess.run(command, capture_output=True, text=True, cwd=Path(evaluate.__file__).parent, env=env)

    done = call(f"--encoder={settings.encoder}", "--task=knn", "--knn_k=3")
    assert done.returncode == 0, done.stderr
    assert "kNN (k=3, T=0.1)" in done.stdout
    refused = call("--encoder=nowhere")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and "nowhere" in refused.stderr
