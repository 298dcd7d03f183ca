import os

import numpy as np
import pytest

from experiments import measure
from keras_simsiam.core.errors import UserError
from keras_simsiam.probes import knn
from keras_simsiam.training.config import RunConfig
from tfrecords import Dataset

CONDITIONS = ("clean", "dark 1/16", "depth −50 %")


@pytest.fixture(scope="module")
def tiny(data_dir, tmp_path_factory):
    return RunConfig(
        data_dir, str(tmp_path_factory.mktemp("work") / "run"), "rgb", image_size=16, width=4, stem="cifar"
    )


def test_measures_once_and_test_labels_reach_the_scores_alone(tiny, finish, permuted_data_dir, monkeypatch):
    finish(tiny)
    dataset = Dataset(tiny.data_dir)
    found = measure.measure(tiny.workdir, dataset, CONDITIONS, validate=True)
    assert list(found["predictions"]["trained"]) == list(CONDITIONS) and len(found["labels"]) == 24
    assert found["predictions"]["untrained"] == found["predictions"]["trained"]  # `finish` leaves one that is untrained
    for task in measure.TASKS:
        clean = found["predictions"]["trained"]["clean"][task]
        assert found["scores"]["trained"]["clean"][task]["top1"] == np.mean(np.equal(clean, found["labels"]))
        assert found["predictions"]["trained"]["depth −50 %"][task] == clean  # the encoder sees colour alone
    assert found["predictions"]["trained"]["dark 1/16"] != found["predictions"]["trained"]["clean"]
    assert 0 <= found["validation"] <= 1 and found["history"][1]["loss"] == -0.2

    permuted = measure.measure(tiny.workdir, Dataset(permuted_data_dir), CONDITIONS, validate=True)
    assert permuted["labels"] != found["labels"] and permuted["scores"] != found["scores"]
    assert permuted["predictions"] == found["predictions"] and permuted["validation"] == found["validation"]

    monkeypatch.setattr(measure, "_measure", lambda *arguments: pytest.fail("it is known already"))
    assert measure.measure(tiny.workdir, Dataset(permuted_data_dir), CONDITIONS, validate=True) == permuted
    monkeypatch.setattr(measure, "_measure", lambda *arguments: {"anew": True})
    with open(os.path.join(tiny.workdir, "encoder.keras"), "ab") as file:
        file.write(b"another")
    assert "anew" in measure.measure(tiny.workdir, dataset, CONDITIONS, validate=True)


def test_validation_holds_a_frame_against_other_recordings(monkeypatch):
    class Bank:
        frames = np.array(["cup_1_1_1", "cup_1_1_2", "cup_1_4_1", "cup_2_1_1", "cup_2_4_1"])
        labels = np.array([0, 0, 0, 1, 1])
        embeddings = np.eye(5, dtype=np.float32)

    banks = []

    def classify(bank, labels, queries, *rest):
        banks.append((len(bank), len(queries)))
        return np.zeros(len(queries), np.int64)

    monkeypatch.setattr(knn, "classify", classify)
    same_objects = np.array(["cup_1_2_1", "cup_2_2_1"])
    assert measure._validation(Bank, same_objects, 2) == 3 / 5
    assert banks == [(3, 2), (4, 1), (4, 1), (4, 1)]
    banks.clear()
    other_objects = np.array(["cup_3_1_1"])
    assert measure._validation(Bank, other_objects, 2) == 3 / 5
    assert banks == [(2, 3), (3, 2)]


def test_data_that_cannot_be_used(tmp_path, data_dir):
    dataset = Dataset(data_dir)
    with pytest.raises(UserError, match="no split 'test'"):
        measure.require(Dataset(dataset.path, splits={"train": dataset.splits["train"]}, classes=dataset.classes))
    with pytest.raises(UserError, match="has no classes"):
        measure.require(Dataset(dataset.path, splits=dataset.splits))
