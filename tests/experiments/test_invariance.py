"""What each augmentation gives and costs: the runs, the probes of one, and the report."""

import json

import pytest

from experiments import common, invariance
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from tfrecords import Dataset


def _config(name, scale):
    wanted = common.variants(scale, invariance.CHANGES, invariance.SMALL, invariance.PAPER)
    return common._parse([*wanted[name], "--data_dir=d", "--workdir=w"])


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_runs_differ_in_one_augmentation(scale):
    """From all, one is left out; to the random crop, one is added; strengths stay."""
    names = tuple(invariance.AUGMENTATIONS)
    everything, crop = _config(invariance.ALL, scale), _config(invariance.CROP, scale)
    assert all(getattr(everything, name)[0] > 0 for name in names)
    assert [name for name in names if any(getattr(crop, name))] == ["crop"]
    for name in names:
        out = _config(invariance.without(name), scale)
        assert [other for other in names if getattr(out, other) != getattr(everything, other)] == [name]
        assert getattr(out, name) == (0.0,) and out.method == "simclr"
        if name != "crop":
            more = _config(invariance.added(name), scale)
            assert [other for other in names if getattr(more, other) != getattr(crop, other)] == [name]
            assert getattr(more, name) == getattr(everything, name)
    assert everything.jitter_strength == crop.jitter_strength and everything.min_crop == crop.min_crop


@pytest.mark.slow
def test_a_run_is_probed_once(data_dir, tmp_path, finish, monkeypatch):
    runs = common.Runs(common.Settings(data_dir, str(tmp_path), "smoke"))
    config = runs._configure(
        invariance.ALL, 0, common.variants("smoke", invariance.CHANGES, invariance.SMALL, ())[invariance.ALL]
    )
    finish(config)
    dataset = Dataset(data_dir)
    found = invariance.probe(config.workdir, dataset)
    assert set(found["colour"]) == set(found["pose"]) == {TRAINED, UNTRAINED}
    # objects differ by their colour, which random weights keep; frames of one do not tell where they were taken
    assert found["colour"][TRAINED] > 0.5 and 0 <= found["pose"][TRAINED] < 0.6
    monkeypatch.setattr(invariance, "compare", None)  # what is kept is read
    assert invariance.probe(config.workdir, dataset) == found


@pytest.mark.parametrize("turntable", [True, False])
@pytest.mark.parametrize("share", [0, 5, len(invariance.CHANGES)])
def test_a_report_of_what_is_there(data_dir, tmp_path, made_up, monkeypatch, share, turntable):
    runs = common.Runs(common.Settings(data_dir, str(tmp_path)))
    shown = list(invariance.CHANGES)[:share]
    runs.measured = {name: {0: made_up(30 - place)} for place, name in enumerate(shown)}
    pose = {TRAINED: 0.5, UNTRAINED: 0.25} if turntable else None
    monkeypatch.setattr(invariance, "probe", lambda *_: {"colour": {TRAINED: 0.625, UNTRAINED: -0.25}, "pose": pose})
    invariance.report(runs)
    text = (tmp_path / "invariance.md").read_text()
    raw = json.loads((tmp_path / "invariance.json").read_text())
    assert list(raw["measured"]) == list(raw["probed"]) == shown
    assert (tmp_path / "invariance.png").stat().st_size > 10_000
    if share:
        assert f"| augment_all | 75.0 | 75.0 | 0.62 | {'50.0' if turntable else '–'} |" in text
        assert f"| untrained encoder | 25.0 | 25.0 | -0.25 | {'25.0' if turntable else '–'} |" in text
        assert "| crop | +2.5 | +2.5 | +0.00 |" in text  # 30 and 29 of 40
        assert ("No recording" in text) != turntable
    if share == len(invariance.CHANGES):
        assert "| flip | +5.0 | +5.0 | +0.00 | " in text
