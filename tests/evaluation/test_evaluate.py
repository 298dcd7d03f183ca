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
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.tasks import Seed
from tests.evaluation.small import make_run, write_dataset


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


def test_test_labels_reach_the_scores_alone_and_features_are_extracted_once(settings, tmp_path, capsys):
    tasks = ("knn", "linear", "linear_sgd", "linear_lars")
    found = {}
    for name, labels in [("as they are", None), ("permuted", np.random.default_rng(5).permutation(np.arange(12) % 3))]:
        data_dir = write_dataset(tmp_path / name / "data", test_labels=labels)
        given = {"data_dir": data_dir, "task": tasks, "output": str(tmp_path / name / "out")}
        results = evaluate.evaluate(dataclasses.replace(settings, **given))
        printed = capsys.readouterr().out
        assert printed.count("embedding ") == 2
        found[name] = results, [np.load(tmp_path / name / "out" / f"predictions_{task}.npz") for task in tasks]
    (first, predicted), (second, predicted_again) = found.values()
    for task, one, other in zip(tasks, predicted, predicted_again, strict=True):
        assert (
            not np.array_equal(one["labels"], other["labels"]) and first[task]["accuracy"] != second[task]["accuracy"]
        )
        for encoder in ("trained encoder", "untrained encoder"):
            np.testing.assert_array_equal(one[encoder], other[encoder])
    assert (
        first["encoder"]["sha256"] == second["encoder"]["sha256"]
        and first["data"]["sha256"] != second["data"]["sha256"]
    )
    for text in ("linear, L-BFGS (C=1)", "linear, SGD (rate 30, 100 epochs)", "linear, LARS (rate 0.1, 90 epochs)"):
        assert text in printed


class Fails:
    """A task that writes and then fails: it changes the encoder, or refuses."""

    Settings = Seed

    def __init__(self, error):
        self.error = error

    def check(self, subject, data, settings):
        pass

    def run(self, subject, data, output, settings):
        (output / "results.json").write_text("half")
        (output / "figures").mkdir()
        (output / "figures" / "a.txt").write_text("new")
        if self.error:
            raise UserError(self.error)
        moved = subject.encoders["trained encoder"].non_trainable_weights[0]
        moved.assign_add(tf.ones_like(moved))
        return {"protocol": "", "files": []}


def test_what_fails_overwrites_nothing(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(evaluate.TASKS, "fails", Fails("the disk is full"))
    given = dataclasses.replace(settings, task=("knn", "fails"), output=str(tmp_path))
    (tmp_path / "results.json").write_text("old")
    with pytest.raises(UserError, match="the disk is full"):
        evaluate.evaluate(given)
    # a task that trains the encoder itself is a mistake of ours
    monkeypatch.setitem(evaluate.TASKS, "fails", Fails(""))
    with pytest.raises(RuntimeError, match="has changed the trained encoder"):
        evaluate.evaluate(given)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "old"


class Fills:
    """A task whose figure goes to a disk that is full."""

    Settings = Seed

    def check(subject, data, settings):
        pass

    def run(subject, data, output, settings):
        (output / "figure.png").symlink_to("/dev/full")
        (output / "figure.png").write_text("a figure")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a file on a disk that is full")
def test_a_full_disk_is_one_line(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(evaluate.TASKS, "fills", Fills)
    with pytest.raises(
        UserError, match=r"`output=.*out` cannot be written \(No space left on device\): make room [^\n]*$"
    ):
        evaluate.evaluate(dataclasses.replace(settings, task=("fills",), output=str(tmp_path / "out")))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"task": ("knn", "lda")}, "`task=knn,lda`: the tasks are knn, linear, linear_sgd"),
        ({"task": ()}, "the tasks are knn, linear, linear_sgd"),
        ({"split": "val"}, "no split 'val'"),
        ({"train_split": "all"}, "no split 'all'"),
        ({"split": "train"}, "both train"),
        ({"knn_k": 0}, "`knn_k=0`: must be at least 1"),
        ({"knn_temperature": 0.0}, "`knn_temperature=0.0`: must be positive"),
        ({"batch_size": 0}, "`batch_size=0`: must be at least 1"),
        ({"seed": -1}, r"`seed=-1`: must be at least 0 and below 2\*\*32"),
        ({"seed": 1 << 32}, r"`seed=4294967296`: must be at least 0"),
        ({"encoder": "imagenet", "image_size": 16}, "`image_size=16`: `encoder=imagenet` takes at least 32 pixels"),
        ({"encoder": "random", "backbone": "vgg"}, "`backbone=vgg`: choose one of"),
        ({"output": evaluate.__file__}, r"`output=.*evaluate.py` cannot be written"),
        ({"output": "/sys"}, "`output=/sys` cannot be written"),
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
