import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.commands import evaluate as command
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.data import Data
from keras_simsiam.evaluation.encoders.compared import compare
from keras_simsiam.evaluation.encoders.source import resolve
from keras_simsiam.evaluation.evaluate import TASKS, evaluate
from keras_simsiam.evaluation.feature_store import Store
from keras_simsiam.evaluation.tasks import Scaling, Seed
from keras_simsiam.probes import knn, whitening
from tests.evaluation.small import make_run, write_dataset
from tfrecords import Dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    data_dir = write_dataset(folder / "data")
    encoder = make_run(folder / "run", data_dir)
    return {
        "encoder": encoder,
        "dataset": Dataset(data_dir),
        "batch_size": 16,
        "output": str(folder / "run" / "evaluation"),
        "feature_cache": str(folder / "features"),
        "knn_k": 5,
    }


def run_command(monkeypatch, settings):
    """Runs the command in this process, on the settings of a call."""
    given = {"data_dir": settings["dataset"].path, "task": ("knn", "linear")} | settings
    del given["dataset"]
    monkeypatch.setattr(command, "from_flags", lambda cls: cls(**given))
    command.main()


def test_tables_results_and_figures(settings, capsys, monkeypatch):
    encoder = Path(settings["encoder"]) / "encoder.keras"
    before = encoder.read_bytes()
    run_command(monkeypatch, settings | {"output": None})
    printed = capsys.readouterr().out

    output = Path(settings["output"])  # where the command puts it unasked
    results = json.loads((output / "results.json").read_text())
    assert sorted(path.name for path in output.iterdir()) == [
        "confusion_knn.png",
        "confusion_knn_scaled.png",
        "confusion_linear.png",
        "predictions_knn.npz",
        "predictions_knn_scaled.npz",
        "predictions_linear.npz",
        "results.json",
    ]
    assert json.loads(json.dumps(evaluate(**settings))) == results
    assert capsys.readouterr().out == ""
    assert results["encoder"]["sha256"] == hashlib.sha256(before).hexdigest()
    assert encoder.read_bytes() == before
    assert results["samples"] == {"train": 36, "test": 12}
    assert results["linear"]["accuracy"]["trained encoder"]["top1"] == 1  # the colours are told apart by any encoder
    assert results["knn"]["accuracy"]["chance: always the most frequent class"]["top1"] == pytest.approx(1 / 3)
    for text in (
        "kNN (k=5, T=0.1)",
        "kNN (k=5, T=0.1), whitened",
        "without its labels, shrinkage",
        "untrained encoder",
        "100.0 [ 75.8, 100.0]",
        "leaf",
        "results.json",
    ):
        assert text in printed


def test_features_are_whitened_by_the_training_split_alone(settings, tmp_path):
    given = settings | {"task": ("knn", "neighbours"), "output": str(tmp_path), "shrinkage": 0.1}
    results = evaluate(**given)
    dataset, compared = settings["dataset"], compare(resolve(settings["encoder"]))
    data = Data(dataset, "train", "test", Store(tmp_path / "store", 1.0))
    train, test = (data.features(compared, split)["trained encoder"] for split in ("train", "test"))
    scaling = whitening.fit(train.embeddings, shrinkage=0.1)
    predicted = knn.classify(scaling(train.embeddings), train.labels, scaling(test.embeddings), k=5)
    with np.load(tmp_path / "predictions_knn_scaled.npz") as kept:
        np.testing.assert_array_equal(kept["trained encoder"], predicted)
    assert "shrinkage 0.1" in results["neighbours"]["protocol"]

    given |= {"task": "knn", "shrinkage": None}
    plain = evaluate(**given | {"scaling": "none"})
    assert "scaled" not in plain["knn"] and plain["knn"]["accuracy"] == results["knn"]["accuracy"]
    standardized = evaluate(**given | {"scaling": "standardized"})["knn"]["scaled"]
    assert standardized["title"] == "kNN (k=5, T=0.1), standardized" and "shrinkage" not in standardized["protocol"]


def test_by_modality_needs_an_encoder_that_keeps_them_apart(tmp_path, settings):
    data_dir = write_dataset(tmp_path / "data", depth=True)
    early = make_run(tmp_path / "early", data_dir, "rgbd", fusion="early")
    for encoder in (settings["encoder"], early):
        with pytest.raises(UserError, match=r"^`by_modality` needs an RGB-D encoder that keeps .* apart, which"):
            evaluate(encoder, Dataset(data_dir), task="linear", by_modality=True)


@pytest.mark.slow  # HHA is traced several times
def test_colour_and_depth_apart_and_in_a_vote(tmp_path):
    """The depth of all frames is alike and tells nothing; the colours tell the classes apart."""
    data_dir = write_dataset(tmp_path / "data", depth=True)
    encoder = make_run(tmp_path / "run", data_dir, "rgbd")
    results = evaluate(encoder, Dataset(data_dir), task=("knn", "linear"), knn_k=5, by_modality=True)
    for found in (results["knn"], results["knn"]["scaled"], results["linear"]):
        scores = {name: each["top1"] for name, each in found["accuracy"].items()}
        assert list(scores)[:4] == [f"trained encoder{row}" for row in ("", ", colour", ", depth", ", vote of both")]
        for name in ("trained encoder", "untrained encoder"):
            assert scores[f"{name}, colour"] > 0.8 and scores[f"{name}, depth"] < 0.5
            assert scores[f"{name}, vote of both"] > 0.7


def test_k_is_shown_as_it_was_used(settings, tmp_path):
    given = settings | {"task": "knn", "knn_k": 1000, "output": str(tmp_path)}
    assert "k=36 " in evaluate(**given)["knn"]["protocol"]
    assert not (tmp_path / "confusion_linear.png").exists()


def test_test_labels_reach_the_scores_alone_and_features_are_extracted_once(settings, tmp_path):
    tasks = ("knn", "linear", "linear_sgd", "linear_lars")
    found = {}
    for name, labels in [("as they are", None), ("permuted", np.random.default_rng(5).permutation(np.arange(12) % 3))]:
        data_dir = write_dataset(tmp_path / name / "data", test_labels=labels)
        given = {"dataset": Dataset(data_dir), "task": tasks, "output": str(tmp_path / name / "out")}
        lines = []
        results = evaluate(**settings | given, progress=lines.append)
        assert len(lines) == 2 and all(line.startswith("embedding ") for line in lines)
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
    titles = ("linear, L-BFGS (C=1)", "linear, SGD (rate 30, 100 epochs)", "linear, LARS (rate 0.1, 90 epochs)")
    assert tuple(first[task]["title"] for task in tasks[1:]) == titles


class Fails:
    """A task that writes and then fails: it changes the encoder, or refuses."""

    Settings = Seed

    def __init__(self, error):
        self.error = error

    def check(self, compared, data, settings):
        pass

    def run(self, compared, data, output, settings):
        (output / "results.json").write_text("half")
        (output / "figures").mkdir()
        (output / "figures" / "a.txt").write_text("new")
        if self.error:
            raise UserError(self.error)
        moved = compared.encoders["trained encoder"].non_trainable_weights[0]
        moved.assign_add(tf.ones_like(moved))
        return {"protocol": "", "files": []}


def test_what_fails_overwrites_nothing(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "fails", Fails("the disk is full"))
    given = settings | {"task": ("knn", "fails"), "output": str(tmp_path)}
    (tmp_path / "results.json").write_text("old")
    with pytest.raises(UserError, match="the disk is full"):
        evaluate(**given)
    # a task that trains the encoder itself is a mistake of ours
    monkeypatch.setitem(TASKS, "fails", Fails(""))
    with pytest.raises(RuntimeError, match="has changed the trained encoder"):
        evaluate(**given)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "old"


class Fills:
    """A task whose figure goes to a disk that is full."""

    Settings = Seed

    def check(compared, data, settings):
        pass

    def run(compared, data, output, settings):
        (output / "figure.png").symlink_to("/dev/full")
        (output / "figure.png").write_text("a figure")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a file on a disk that is full")
def test_a_full_disk_is_one_line(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "fills", Fills)
    with pytest.raises(
        UserError, match=r"`output=.*out` cannot be written \(No space left on device\): make room [^\n]*$"
    ):
        evaluate(**settings | {"task": "fills", "output": str(tmp_path / "out")})
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
        ({"output": command.__file__}, r"`output=.*evaluate.py` cannot be written"),
        ({"output": "/sys"}, "`output=/sys` cannot be written"),
        ({"encoder": "nowhere"}, "nowhere"),
    ],
)
def test_mistakes_in_the_settings(settings, change, line):
    with pytest.raises(UserError, match=line) as error:
        evaluate(**settings | change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["knn_kk", "data_dir", "telepathy"])
def test_a_setting_that_does_not_exist_is_named(settings, name):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        evaluate(**settings, **{name: 1})


class Colours:
    """A data set of a program (`keras_simsiam.core.dataset.Dataset`): what evaluating asks of it, of arrays in memory."""

    path, classes, has_depth, checksum = "colours", ("red", "green"), False, "0"

    def __init__(self):
        self.splits = {name: types.SimpleNamespace(count=count, unlabelled=0) for name, count in SIZES.items()}

    def samples(self, split):
        labels = np.arange(SIZES[split]) % 2
        images = np.where(labels[:, None] == [0, 1], 220, 30)[:, None, None] * np.ones((20, 20, 1))
        facts = {"label": labels, "instance": labels, "frame": [f"{split}{index}" for index in range(len(labels))]}
        rgb = np.concatenate([images, np.zeros((len(labels), 20, 20, 1))], -1).astype(np.uint8)
        return tf.data.Dataset.from_tensor_slices(facts | {"rgb": rgb})

    def identity(self, split):
        return split

    def naming_corrupt_shards(self, splits):
        return contextlib.nullcontext()


SIZES = {"train": 12, "test": 6}


def test_a_program_is_given_numbers_and_nothing_else(tmp_path, monkeypatch, capfd):
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    results = evaluate("random", Colours(), task=("knn", "neighbours"), image_size=16, knn_k=3, neighbour_queries=2)
    assert capfd.readouterr().out == ""
    left = [path.name for path in tmp_path.rglob("*") if not path.name.startswith("__autograph")]  # TensorFlow's own
    assert left == ["temporary"]
    accuracy = results["knn"]["accuracy"]["untrained encoder"]
    assert accuracy["top1"] == 1 and results["samples"] == SIZES and results["settings"]["knn_k"] == 3
    assert results["encoder"]["source"] == "random" and results["data"]["classes"] == ["red", "green"]
    assert set(results["versions"]) == {"keras_simsiam", "tensorflow", "numpy", "sklearn"}


def test_data_that_the_encoder_or_the_tasks_cannot_use(settings, tmp_path):
    rgbd = make_run(tmp_path / "run", settings["dataset"].path, "rgbd")
    with pytest.raises(UserError, match=r"encoder of rgbd, but .* has no depth"):
        evaluate(**settings | {"encoder": rgbd})
    with pytest.raises(UserError, match="has no classes"):
        evaluate(**settings | {"dataset": Dataset(write_dataset(tmp_path / "unlabelled", classes=[]))})
    (tmp_path / "run" / "encoder.keras").unlink()
    data_dir = write_dataset(tmp_path / "depth", depth=True)
    with pytest.raises(UserError, match="last epoch"):
        evaluate(**settings | {"encoder": rgbd, "dataset": Dataset(data_dir)})


def test_where_the_command_puts_its_results(settings, tmp_path):
    workdir = settings["encoder"]
    shutil.copy(f"{workdir}/encoder.keras", tmp_path / "mine.keras")
    folders = {
        workdir: f"{workdir}/evaluation",
        f"{workdir}/encoder.keras": f"{workdir}/evaluation_encoder",
        str(tmp_path / "mine.keras"): str(tmp_path / "evaluation_mine"),
    }
    for name, folder in folders.items():
        assert command.default_output(resolve(name)) == folder
    with pytest.raises(UserError, match=r"^--encoder=random has no run directory for the results: name a folder by --"):
        command.default_output(resolve("random"))


@pytest.mark.slow
def test_the_command(settings):
    def call(*arguments):
        line = [sys.executable, "evaluate.py", f"--data_dir={settings['dataset'].path}", *arguments]
        # as a user has it, without the log level that the tests set
        env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=env)

    done = call(f"--encoder={settings['encoder']}", "--task=knn", "--knn_k=3")
    assert done.returncode == 0, done.stderr
    assert "kNN (k=3, T=0.1)" in done.stdout
    refused = call("--encoder=nowhere")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and "nowhere" in refused.stderr


def test_a_shrinkage_that_would_do_nothing_is_refused():
    with pytest.raises(UserError, match=r"^`shrinkage=0\.1` has no meaning with `scaling=none`: leave it out$"):
        Scaling(scaling="none", shrinkage=0.1)
