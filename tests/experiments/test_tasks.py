"""What the experiments make of the results of evaluate.py's tasks, the tasks themselves replaced."""

import json
import os

import pytest

import evaluate
from experiments import common, depth_loss, depth_table, label_fraction, neighbours, tasks
from keras_simsiam.errors import UserError
from keras_simsiam.evaluation.subject import TRAINED, UNTRAINED
from tfrecords import reader


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

        def evaluated(settings):
            asked.append(settings)
            return {settings.task[0]: find(settings)}

        monkeypatch.setattr(evaluate, "evaluate", evaluated)
        return asked

    return answer


def _leave_encoders(runs):
    for variant, seeds in runs.measured.items():
        for seed in seeds:
            folder = os.path.join(runs.folder(variant, seed), "evaluation")
            os.makedirs(folder)
            with open(os.path.join(folder, "..", "encoder.keras"), "wb") as file:
                file.write(variant.encode() + bytes([seed]))


def test_a_task_is_run_once_for_an_encoder_data_and_settings(runs, answer, permuted_data_dir):
    _leave_encoders(runs)
    asked = answer(lambda settings: {"k": settings.knn_k, "of": (1, 2)})
    folder = runs.folder("simsiam", 0)
    assert tasks.evaluated(folder, runs.info, "knn", {"knn_k": 3}) == {"k": 3, "of": [1, 2]}
    tasks.evaluated(folder, runs.info, "knn", {"knn_k": 3})
    assert len(asked) == 1 and (asked[0].split, asked[0].train_split, asked[0].encoder) == ("test", "train", folder)
    assert tasks.evaluated(folder, runs.info, "knn", {"knn_k": 4})["k"] == 4
    tasks.evaluated(folder, reader.load(permuted_data_dir), "knn", {"knn_k": 4})
    with open(f"{folder}/encoder.keras", "ab") as file:
        file.write(b"another")
    tasks.evaluated(folder, reader.load(permuted_data_dir), "knn", {"knn_k": 4})
    assert len(asked) == 4


def test_label_fraction(runs, answer, tmp_path):
    def find(settings):
        low = 0.1 if settings.encoder.endswith("seed3") else 0.0
        budgets = {"1 a class": (0.5 - low, 0.02), "100 %": (0.9 - low, None)}
        by_budget = {name: {"mean": mean, "std": std} for name, (mean, std) in budgets.items()}
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
    assert "| 1 a class | 3 | 50.0 ± 2.0 |" in text and "| 100 % | 48 | 90.0 |" in text


def test_neighbours(runs, answer, tmp_path):
    def find(settings):
        for file in ("neighbours.png", "neighbours_2.png"):
            os.makedirs(settings.output, exist_ok=True)
            with open(os.path.join(settings.output, file), "wb") as png:
                png.write(file.encode())
        first = "30.0" if settings.encoder.endswith("seed3") else "20.0"
        table = [["same class, %", "the nearest", "all"], [TRAINED, first, "10.0"], [UNTRAINED, "1.0", "2.0"]]
        return {"protocol": "cosine", "table": table, "files": ["neighbours.png", "neighbours_2.png"]}

    _leave_encoders(runs)
    answer(find)
    neighbours.report(runs)
    text = (tmp_path / "neighbours.md").read_text()
    assert "| trained encoder | 25.0 ± 7.1 (2) | 10.0 ± 0.0 (2) |" in text and "(neighbours_2.png)" in text
    assert (tmp_path / "neighbours_2.png").read_bytes() == b"neighbours_2.png"


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
            "histories": {"train": [[2.0, 1.0], [4.0, 3.0]], "validation": [[], []]},
        }
        for name, rel in with_own.items()
    }
    os.makedirs(settings.output, exist_ok=True)
    with open(os.path.join(settings.output, "monodepth_predictions.png"), "wb") as png:
        png.write(kind.encode())
    return {
        "protocol": "a decoder",
        "files": ["monodepth_predictions.png", "monodepth_curves.png"],
        "configurations": configurations,
        "baselines": {"no image": {"pooled": {metric: [0.5] for metric in depth_table.METRICS}}},
    }


def test_depth_table_and_depth_loss(runs, answer, tmp_path, made_up):
    runs.measured = {"contrastive": {0: made_up(30)}, "classification": {0: made_up(30)}}
    _leave_encoders(runs)
    asked = answer(_depth)
    depth_table.report(runs, runs.info)
    text = (tmp_path / "depth_table.md").read_text()
    names = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")][2:]
    # the untrained encoder once, that beside the first; the worst rel above
    assert names == ["random probe", "contrastive probe", "classification probe", "no image"]
    assert "| random probe | 0.450 ± 0.071 (2) |" in text and "0.814, 0.266, 0.566, 0.856, 0.954 |" in text
    assert (tmp_path / "depth_table_3.png").read_bytes() == b"classification"
    assert {one.depth_strategy for one in asked} == {("probe",)}

    depth_loss.report(runs, runs.info)
    assert len(asked) == 2  # the same results
    text = (tmp_path / "depth_loss.md").read_text()
    assert (
        "| contrastive probe | 2.0000 ± 1.4142 (2) | 2.0000 ± 1.4142 (2) |" in text
        and "validation loss, m²:" not in text
    )
    runs.measured = {}
    depth_table.report(runs, runs.info)
    depth_loss.report(runs, runs.info)
    assert "No run of this experiment" in (tmp_path / "depth_loss.md").read_text()


def test_depth_is_refused_where_there_is_none(tmp_path, monkeypatch):
    info = reader.Info("colours", {}, (), (), False)
    monkeypatch.setattr(reader, "load", lambda path: info)
    with pytest.raises(UserError, match="colours has no depth: give a data set with depth as --depth_data_dir"):
        depth_table.main(common.Settings("colours", str(tmp_path)))


@pytest.mark.parametrize("scale", common.SCALES)
def test_every_run_is_one_that_train_py_accepts(scale):
    wanted = depth_table.wanted(scale)
    for name, method in {"contrastive": "simclr", "classification": "supervised"}.items():
        config = common._parse([*wanted[name], "--data_dir=d", "--workdir=w"])
        assert (config.method, config.modality) == (method, "rgb")
        assert config.epochs == {"smoke": 2, "small": 60, "paper": 600 if method == "simclr" else 90}[scale]
