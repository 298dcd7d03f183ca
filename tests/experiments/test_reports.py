import dataclasses
import json
import os

import matplotlib.image
import numpy as np
import pytest

from experiments import (
    common,
    depth_help,
    depth_suspects,
    em,
    method_table,
    predictor_lr,
    pretrain_loss,
    report_parts,
    stop_gradient,
    symmetry,
    table1,
    weight_decay,
)
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import corruptions
from keras_simsiam.evaluation.encoders.compared import UNTRAINED
from keras_simsiam.training.config import RunConfig

EXPERIMENTS = {
    "stop_gradient": (stop_gradient.report, stop_gradient.CHANGES),
    "depth_help": (depth_help.report, depth_help.CHANGES),
    "pretrain_loss": (pretrain_loss.report, table1.EXPERIMENT.changes),
    "depth_suspects": (depth_suspects.report, depth_suspects.experiment("small").changes),
} | {
    one.name: (one.report, one.changes)
    for one in (module.EXPERIMENT for module in (method_table, predictor_lr, weight_decay, symmetry, em, table1))
}


@pytest.fixture
def runs(data_dir, tmp_path):
    runs = common.Runs(common.Settings(data_dir, str(tmp_path)), tuple(corruptions.CONDITIONS))
    runs.commands = {"first": "python train.py --seed=0", "second": "python train.py --seed=1"}
    return runs


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("share", ["nothing", "half", "all"])
def test_a_report_of_what_is_there(name, share, runs, made_up, tmp_path):
    report, changes = EXPERIMENTS[name]
    shown = {"nothing": [], "half": list(changes)[: len(changes) // 2], "all": list(changes)}[share]
    conditions = tuple(corruptions.CONDITIONS)
    runs.measured = {variant: {0: made_up(30, conditions=conditions)} for variant in shown}
    runs.failed = {"second": "it diverged"}
    report(runs)
    text = (tmp_path / f"{name}.md").read_text()
    assert "- `second` failed: it diverged" in text and "- `first` is not there yet" in text
    assert "python train.py --seed=1" in text and f"({name}.png)" in text
    assert text.count("75.0 [59.8, 85.8]") >= len(shown)  # 30 of 40, Wilson's interval
    raw = json.loads((tmp_path / f"{name}.json").read_text())
    assert list(raw["measured"]) == shown and raw["missing"] == ["first", "second"]
    assert len(raw["data"]["sha256"]) == 64
    assert matplotlib.image.imread(tmp_path / f"{name}.png")[..., :3].std() > 0.01


def test_a_report_that_cannot_be_written(data_dir, tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    runs = common.Runs(common.Settings(data_dir, str(tmp_path / "work")))
    method_table.EXPERIMENT.report(runs)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"work cannot be written \(No space left on device\): make room"):
            method_table.EXPERIMENT.report(runs)
    (tmp_path / "work" / "method_table.png").unlink()
    (tmp_path / "work" / "method_table.png").mkdir()
    with pytest.raises(UserError, match=r"^--workdir=.*work cannot be written \(Is a directory\)"):
        method_table.EXPERIMENT.report(runs)
    runs.settings = dataclasses.replace(runs.settings, workdir=str(tmp_path / "work" / "method_table.md"))
    with pytest.raises(UserError, match=r"method_table.md cannot be written \(File exists"):
        method_table.EXPERIMENT.report(runs)


@pytest.mark.parametrize(("scale", "batch"), [("smoke", 16), ("small", 32)])
def test_depth_suspects_draws_a_run_at_its_batch(scale, batch, runs, made_up, monkeypatch):
    drawn = []
    monkeypatch.setattr(report_parts, "write", lambda runs, name, title, text, figure: drawn.append(figure))
    runs.settings = dataclasses.replace(runs.settings, scale=scale)
    runs.measured = {name: {0: made_up(30)} for name in ("rgb", "rgbd")}
    depth_suspects.report(runs)
    lines = [list(line.get_xdata()) for line in drawn[0].axes[0].lines]
    assert lines == [[batch]] * 4  # of each arm the mean, and its seed


def test_the_pages_say_how_the_scale_small_was_chosen(runs, tmp_path):
    for report in (depth_help.report, depth_suspects.report, table1.EXPERIMENT.report):
        report(runs)
    for name in ("depth_help", "depth_suspects", "table1"):
        assert "on Washington's colour by its test kNN (docs/results.md)" in (tmp_path / f"{name}.md").read_text()


def test_cells(made_up):
    assert report_parts.spread([]) == "–" and report_parts.spread([12.34]) == "12.3"
    assert report_parts.spread([60.0, 62.0, 64.0]) == "62.0 ± 2.0 (3)"
    seeds = {0: made_up(20), 1: made_up(30)}
    assert report_parts.accuracy(seeds, "knn") == "62.5 ± 17.7 (2)"
    assert report_parts.accuracy(seeds, "linear", UNTRAINED) == "25.0 ± 0.0 (2)"
    assert report_parts.table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert report_parts.last({0: {"history": [{"loss": 1.0, "knn": 0.5}, {"loss": 0.5}]}}, "knn") == [0.5]


def test_finalists_are_chosen_by_validation_alone(made_up):
    scores = {"rgb": 0.1, "rgb_wide": 0.2, "a": 0.5, "b": 0.9, "c": 0.7, "d": 0.6, "e": 0.8, "f": None}
    measured = {name: {0: made_up(0 if name == "b" else 40, score)} for name, score in scores.items()}
    assert depth_help.finalists(measured, 0) == ["rgb", "rgb_wide", "b", "e", "c", "d"]
    assert depth_help.finalists({}, 0) == [] and depth_help.finalists(measured, 1) == []


def test_variants_are_compared_on_the_seeds_that_both_have(made_up):
    def seeds(*rights):
        frames = [f"thing_{index // 4}_{index}" for index in range(40)]  # ten recordings: ten blocks
        return {seed: made_up(right) | {"frames": frames} for seed, right in enumerate(rights)}

    found = depth_help.compare(seeds(40), seeds(0, 40), "clean")
    assert (found.difference, found.blocks, found.verdict) == (1, 10, "differs")
    assert depth_help.compare(seeds(40, 0), seeds(40, 0), "clean").verdict == "tie"
    assert np.isclose(depth_help.compare(seeds(30, 20), seeds(20, 20), "clean").difference, 0.125)


@pytest.mark.parametrize("scale", common.SCALES)
@pytest.mark.parametrize("name", depth_help.CHANGES)
def test_every_variant_is_one_that_train_py_accepts(name, scale):
    wanted = common.variants(scale, depth_help.CHANGES, depth_help.SMALL, depth_help.PAPER)
    if name not in wanted:
        assert scale == "smoke"
        return
    known = {field.name for field in dataclasses.fields(RunConfig)} | {"flagfile"}
    if not {flag[2:].split("=")[0] for flag in wanted[name]} <= known:
        pytest.skip("this train.py has no such flag")
    config = common._parse([*wanted[name], "--data_dir=d", "--workdir=w"])
    assert config.modality == {"rgb": "rgb", "hha": "hha"}.get(name.split("_")[0], "rgbd")
    assert config.epochs == {"smoke": 2, "small": 60, "paper": 100}[scale]
