import hashlib
import json

import numpy as np
import pytest

from export import card
from keras_simsiam.evaluation.encoders.source import resolve_run
from keras_simsiam.training.config import RunConfig, open_workdir

SHA = hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def workdir(tmp_path):
    """A run directory as training and evaluation leave it."""
    data = tmp_path / "data" / "washington"
    data.mkdir(parents=True)
    (data / "dataset.json").write_text(json.dumps({"splits": {"train": {"count": 640}, "test": {"count": 320}}}))
    folder = tmp_path / "runs" / "rgbd"
    open_workdir(RunConfig(str(data), str(folder), seed=7))
    for name, weights in (("encoder", b"weights"), ("encoder_best", b"better")):
        (folder / f"{name}.keras").write_bytes(weights)
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "loss": -0.5}\n{"epoch": 2, "loss": -0.75}\n')
    return folder


def evaluated(workdir, folder, weights, top1):
    (workdir / folder).mkdir()
    accuracy = {"trained encoder": {"top1": top1, "per_class": [1.0] * 300}}
    content = {
        "knn": {"accuracy": accuracy, "protocol": "k nearest", "samples_per_class": [3] * 300},
        "pose": {"protocol": "angles", "errors": {}},
        "encoder": {"sha256": hashlib.sha256(weights).hexdigest()},
        "data": {"classes": ["bowl"] * 300},
    }
    (workdir / folder / "results.json").write_text(json.dumps(content))


def test_what_a_run_says(workdir):
    found = card.describe_encoder(resolve_run(str(workdir)))
    assert found["encoder"] == {"file": "encoder.keras", "sha256": SHA}
    assert found["data"]["name"] == "washington" and found["data"]["frames"] == {"train": 640, "test": 320}
    assert found["recipe"]["seed"] == "7" and found["recipe"]["method"] == "simsiam"
    assert found["training"] == {"epoch": 2, "loss": -0.75}
    assert found["scores"] == {}
    assert str(workdir.parents[1]) not in json.dumps(found)  # nobody's folders in a file that is handed on


def test_scores_are_those_of_this_very_encoder(workdir):
    evaluated(workdir, "evaluation", b"weights", 0.5)
    evaluated(workdir, "evaluation_encoder_best", b"better", 0.9)
    evaluated(workdir, "evaluation_old", b"what was here before it was trained again", 0.99)
    assert card.describe_encoder(resolve_run(str(workdir)))["scores"] == {
        "evaluation": {"accuracy": {"trained encoder": {"knn": {"top1": 0.5}}}, "protocol": {"knn": "k nearest"}}
    }
    best = card.describe_encoder(resolve_run(str(workdir / "encoder_best.keras")))
    assert list(best["scores"]) == ["evaluation_encoder_best"]


def test_the_recipe_of_an_imported_encoder_is_where_it_comes_from(workdir):
    imported = {"checkpoint": "simsiam.pth", "left_out": ["fc"]}
    (workdir / "imported.json").write_text(json.dumps(imported))
    assert card.describe_encoder(resolve_run(str(workdir)))["recipe"] == imported


def test_without_data_or_metrics(workdir):
    (workdir / "metrics.jsonl").unlink()
    (workdir.parents[1] / "data" / "washington" / "dataset.json").unlink()
    found = card.describe_encoder(resolve_run(str(workdir)))
    assert found["data"] == {"name": "washington"} and found["training"] == {}
    assert "Not known" in card.markdown({"name": "x", "exported": "today", **found})


def test_the_card_of_a_version_checks_its_files(version):
    content = json.loads((version / card.PLACES[0]).read_text())
    assert content["name"] == "rgbd_encoder"
    files = {str(path.relative_to(version)) for path in version.rglob("*") if path.is_file()}
    assert set(content["sha256"]) == files - {str(place) for place in card.PLACES}
    for name, checksum in content["sha256"].items():
        assert hashlib.sha256((version / name).read_bytes()).hexdigest() == checksum
    assert content["versions"]["numpy"] == np.__version__
    assert content["signatures"]["tensors"] == ["rgb", "depth", "intrinsics", "gravity"]


def test_the_card_in_words(workdir):
    evaluated(workdir, "evaluation", b"weights", 0.51234)
    text = card.markdown({"name": "rgbd", "exported": "today", **card.describe_encoder(resolve_run(str(workdir)))})
    assert text.startswith("# rgbd\n") and text.count("\n## ") == 5
    assert "| evaluation, accuracy, trained encoder, knn, top1 | 0.5123 |" in text
    assert f"| sha256 | {SHA} |" in text and "| frames, train | 640 |" in text


def test_what_is_known_of_a_depth_network(tmp_path):
    (tmp_path / "depth_network_probe.keras").write_bytes(b"weights")
    alone = {"file": "depth_network_probe.keras", "sha256": hashlib.sha256(b"weights").hexdigest()}
    assert card.describe_depth_network(tmp_path / "depth_network_probe.keras") == alone
    monodepth = {
        "protocol": "5 trials",
        "networks": {"contrastive probe": "depth_network_probe.keras", "contrastive switch": "another.keras"},
        "configurations": {"contrastive probe": {"pooled": {"rel": [0.25, 0.5]}}},
    }
    (tmp_path / "results.json").write_text(json.dumps({"monodepth": monodepth}))
    known = {"configuration": "contrastive probe", "protocol": "5 trials", "pooled": {"rel": 0.25}}
    assert card.describe_depth_network(tmp_path / "depth_network_probe.keras") == alone | known
