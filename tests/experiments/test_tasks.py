"""What the experiments make of the results of evaluate.py's tasks, the tasks themselves replaced."""

import json
import os
import shutil
import types

import pytest

from experiments import common, depth_loss, depth_table, label_fraction, neighbours, tasks
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import evaluate, tables
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from keras_simsiam.probes import scores
from keras_simsiam.training.config import RunConfig, open_workdir
from tfrecords import Dataset


@pytest.fixture
def runs(data_dir, tmp_path, made_up):
    runs = common.Runs(common.Settings(data_dir, str(tmp_path), "smoke"))
    runs.measured = {"simsiam": {0: made_up(30), 3: made_up(20)}}
    runs.commands = {"simsiam": "python train.py", "simsiam_seed3": "python train.py --seed=3"}
    return runs


@pytest.fixture
def answer(monkeypatch):
    """A function that makes the tasks find what it is given, by the run's folder; returns the list of what was asked."""

    def answer(find):
        asked = []

        def evaluated(encoder, dataset, *, task, **given):
            asked.append(types.SimpleNamespace(encoder=encoder.name, dataset=dataset, **given))
            return {task: find(asked[-1])}

        monkeypatch.setattr(evaluate, "evaluate", evaluated)
        monkeypatch.setattr(tables, "of_results", lambda results: "a table")
        monkeypatch.setattr(tables, "written", lambda results: "files")
        return asked

    return answer


def _leave_encoders(runs):
    for variant, seeds in runs.measured.items():
        for seed in seeds:
            folder = runs.folder(variant, seed)
            open_workdir(RunConfig(runs.dataset.path, folder))
            with open(os.path.join(folder, "encoder.keras"), "wb") as file:
                file.write(variant.encode() + bytes([seed]))


def test_a_task_is_run_once_for_an_encoder_data_and_settings(runs, answer, permuted_data_dir):
    _leave_encoders(runs)
    asked = answer(lambda settings: {"k": settings.knn_k, "of": (1, 2)})
    folder = runs.folder("simsiam", 0)
    assert tasks.evaluated(folder, runs.dataset, "knn", {"knn_k": 3}) == {"k": 3, "of": [1, 2]}
    tasks.evaluated(folder, runs.dataset, "knn", {"knn_k": 3})
    assert len(asked) == 1 and asked[0].encoder == folder and asked[0].dataset is runs.dataset
    assert tasks.evaluated(folder, runs.dataset, "knn", {"knn_k": 4})["k"] == 4
    tasks.evaluated(folder, Dataset(permuted_data_dir), "knn", {"knn_k": 4})
    with open(f"{folder}/encoder.keras", "ab") as file:
        file.write(b"another")
    tasks.evaluated(folder, Dataset(permuted_data_dir), "knn", {"knn_k": 4})
    assert len(asked) == 4


def test_a_run_whose_task_fails_is_listed_and_the_others_are_reported(runs, answer, tmp_path, made_up, capsys):
    def find(settings):
        if "contrastive" in settings.encoder:
            raise UserError("the error is no longer finite: lower --depth_lr")
        return _depth(settings)

    runs.measured = {"contrastive": {0: made_up(30)}, "classification": {0: made_up(30)}}
    runs.commands = dict.fromkeys(runs.measured, "python train.py")
    _leave_encoders(runs)
    asked = answer(find)
    for _ in range(2):  # as after each run
        depth_table.report(runs, runs.dataset)
    assert len(asked) == 2 and capsys.readouterr().err.count("contrastive failed: the error is no longer finite") == 1
    text = (tmp_path / "depth_table.md").read_text()
    assert "- `contrastive` failed: the error is no longer finite: lower --depth_lr" in text
    assert "| classification probe |" in text and "| random probe |" in text and "| contrastive probe |" not in text
    with pytest.raises(UserError, match=r"^1 of 2 runs failed \(contrastive\), .*the report says why"):
        runs.close()


def test_label_fraction(runs, answer, tmp_path):
    def find(settings):
        low = 0.1 if settings.encoder.endswith("seed3") else 0.0
        budgets = {"1 a class": (0.5 - low, 0.02), "100 %": (0.9 - low, None)}
        by_budget = {
            name: {"mean": mean, "std": std, "interval": [mean - 0.1, mean + 0.05]}
            for name, (mean, std) in budgets.items()
        }
        by_encoder = {TRAINED: by_budget, UNTRAINED: by_budget}
        return {
            "protocol": "of draws",
            "labels": {"1 a class": 3, "100 %": 48},
            "accuracy_by_labels": {"knn": by_encoder, "linear": by_encoder},
        }

    _leave_encoders(runs)
    asked = answer(find)
    label_fraction.report(runs)
    # 1 % of 48 labels is none, of three classes one each
    assert asked[0].label_fractions == (0.1, 0.2, 0.5, 1.0) and asked[0].labels_per_class == (1,)
    text = (tmp_path / "label_fraction.md").read_text()
    assert "| 100 % | 48 | 85.0 ± 7.1 (2) |" in text and "| 1 a class | 3 | 45.0 ± 7.1 (2) |" in text
    del runs.measured["simsiam"][3]
    label_fraction.report(runs)
    text = (tmp_path / "label_fraction.md").read_text()
    assert "| 1 a class | 3 | 50.0 ± 2.0 |" in text and "| 100 % | 48 | 90.0 [80.0, 95.0] |" in text


def test_label_fraction_asks_of_each_class_what_the_smallest_has(data_dir, tmp_path):
    dataset = Dataset(data_dir)  # 16 training frames of each class
    assert label_fraction.possible((1, 5, 10), dataset) == (1, 5, 10)
    assert label_fraction.possible((1, 16, 17), dataset) == (1, 16)
    copy = shutil.copytree(data_dir, tmp_path / "copy")
    content = json.loads((copy / "dataset.json").read_text())
    content["splits"]["train"]["labels"]["1"] = 6
    (copy / "dataset.json").write_text(json.dumps(content))
    assert label_fraction.possible((1, 5, 10), Dataset(str(copy))) == (1, 5)
    del content["splits"]["train"]["labels"]  # as the first release wrote it
    (copy / "dataset.json").write_text(json.dumps(content))
    assert label_fraction.possible((1, 5, 10), Dataset(str(copy))) == (1, 5, 10)


def test_neighbours(runs, answer, tmp_path):
    def find(settings):
        for file in ("neighbours.png", "neighbours_2.png"):
            os.makedirs(settings.output, exist_ok=True)
            with open(os.path.join(settings.output, file), "wb") as png:
                png.write(file.encode())
        first = 0.3 if settings.encoder.endswith("seed3") else 0.2
        return {
            "protocol": "cosine",
            "table": [["same class, %", "the nearest", "all"]],
            "precision_of_nearest": {TRAINED: first, UNTRAINED: 0.01},
            "precision": {TRAINED: 0.1, UNTRAINED: 0.02},
            "files": ["neighbours.png", "neighbours_2.png"],
        }

    _leave_encoders(runs)
    answer(find)
    neighbours.report(runs)
    text = (tmp_path / "neighbours.md").read_text()
    assert "| trained encoder | 25.0 ± 7.1 (2) | 10.0 ± 0.0 (2) |" in text and "(neighbours_2.png)" in text
    assert (tmp_path / "neighbours_2.png").read_bytes() == b"neighbours_2.png"
    del runs.measured["simsiam"][3]
    neighbours.report(runs)
    low, high = (100 * bound for bound in scores.wilson_interval(0.2, 24))
    text = (tmp_path / "neighbours.md").read_text()
    assert f"| trained encoder | 20.0 [{low:.1f}, {high:.1f}] | 10.0 |" in text


@pytest.mark.parametrize("experiment", [label_fraction, neighbours])
def test_without_a_run(experiment, runs, answer, tmp_path):
    answer(lambda settings: pytest.fail("there is nothing to evaluate"))
    runs.measured = {}
    experiment.report(runs)
    assert "No run of this experiment is complete yet." in (tmp_path / f"{experiment.NAME}.md").read_text()
    assert json.loads((tmp_path / f"{experiment.NAME}.json").read_text())["missing"] == ["simsiam", "simsiam_seed3"]


def _depth(settings):
    """Made-up results of --task=monodepth: two trials of each configuration."""
    kind = "classification" if "classification" in settings.encoder else "contrastive"
    with_own = {f"{kind} probe": 0.2, "random probe": 0.4 if kind == "contrastive" else 0.9}
    configurations = {
        name: {
            "pooled": {metric: [rel, rel + 0.1] for metric in depth_table.METRICS},
            "per_image": {"rel": [rel, rel + 0.02]},
            "interval": {"rel": [rel - 0.05, rel + 0.05]},
            "against": {"no image": {"difference": 9.0, "interval": None, "verdict": "tie"}},
            "histories": {"train": [[2.0, 1.0], [4.0, 3.0]], "validation": [[], []]},
        }
        for name, rel in with_own.items()
    }
    of_random = {"difference": -0.2, "interval": [-0.25, -0.1], "verdict": "differs"}
    if kind == "classification":
        of_random = {"difference": 0.01, "interval": None, "verdict": "tie"}
    configurations[f"{kind} probe"]["against"]["random"] = of_random
    no_image = {metric: [0.5] for metric in depth_table.METRICS}
    os.makedirs(settings.output, exist_ok=True)
    with open(os.path.join(settings.output, "monodepth_predictions.png"), "wb") as png:
        png.write(kind.encode())
    return {
        "protocol": "a decoder",
        "files": ["monodepth_predictions.png", "monodepth_curves.png"],
        "configurations": configurations,
        "baselines": {"no image": {"pooled": no_image, "per_image": {"rel": [0.6]}, "interval": {"rel": None}}},
    }


def test_depth_table_and_depth_loss(runs, answer, tmp_path, made_up):
    runs.measured = {"contrastive": {0: made_up(30)}, "classification": {0: made_up(30)}}
    _leave_encoders(runs)
    asked = answer(_depth)
    depth_table.report(runs, runs.dataset)
    text = (tmp_path / "depth_table.md").read_text()
    names = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")][2:]
    # the untrained encoder once, that beside the first; the worst rel above
    assert names == ["random probe", "contrastive probe", "classification probe", "no image"]
    assert "| random probe | 0.450 ± 0.071 (2) |" in text and "0.814, 0.266, 0.566, 0.856, 0.954 |" in text
    assert (tmp_path / "depth_table_3.png").read_bytes() == b"classification"
    assert {one.depth_strategy for one in asked} == {("probe",)}
    assert "| 0.210 [0.150, 0.250] | -0.200 [-0.250, -0.100] differs | 0.814" in text
    assert "| 0.210 [0.150, 0.250] | +0.010 tie | 0.846" in text
    assert "| 0.410 [0.350, 0.450] | – | – |" in text and "| 0.600 | – | – |" in text  # random, and no image

    depth_loss.report(runs, runs.dataset)
    assert len(asked) == 2  # the same results
    text = (tmp_path / "depth_loss.md").read_text()
    assert (
        "| contrastive probe | 2.0000 ± 1.4142 (2) | 2.0000 ± 1.4142 (2) |" in text
        and "validation loss, m²:" not in text
    )
    runs.measured = {}
    depth_table.report(runs, runs.dataset)
    depth_loss.report(runs, runs.dataset)
    assert "No run of this experiment" in (tmp_path / "depth_loss.md").read_text()


def test_depth_is_refused_where_there_is_none(tmp_path, monkeypatch):
    dataset = Dataset("colours", splits={}, has_depth=False)
    monkeypatch.setattr(depth_table, "Dataset", lambda path: dataset)
    with pytest.raises(UserError, match="colours has no depth: give a data set with depth as --depth_data_dir"):
        depth_table.main(common.Settings("colours", str(tmp_path)))


@pytest.mark.parametrize("scale", common.SCALES)
def test_every_run_is_one_that_train_py_accepts(scale):
    wanted = depth_table.wanted(scale)
    for name, method in {"contrastive": "simclr", "classification": "supervised"}.items():
        config = common._parse([*wanted[name], "--data_dir=d", "--workdir=w"])
        assert (config.method, config.modality) == (method, "rgb")
        assert config.epochs == {"smoke": 2, "small": 60, "paper": 600 if method == "simclr" else 90}[scale]
