import dataclasses
import json
import os

import numpy as np
import pytest

from experiments import measure
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import evaluate
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from keras_simsiam.evaluation.encoders.source import resolve_run
from keras_simsiam.evaluation.tasks import robustness
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
    assert list(found["predictions"]["knn"][TRAINED]) == list(CONDITIONS) and len(found["labels"]) == 24
    for task in measure.TASKS:
        of_task, accuracy = found["predictions"][task], found["robustness"]["accuracy_by_condition"][task][TRAINED]
        assert of_task[UNTRAINED] == of_task[TRAINED]  # `finish` leaves one that is untrained
        clean = of_task[TRAINED]["clean"]
        assert accuracy["clean"]["top1"] == np.mean(np.equal(clean, found["labels"]))
        assert found[task]["accuracy"][TRAINED] == accuracy["clean"] and list(accuracy) == list(CONDITIONS)
        assert of_task[TRAINED]["depth −50 %"] == clean  # the encoder sees colour alone
    by_task = [found["predictions"][task][TRAINED] for task in measure.TASKS]
    assert any(of_task["dark 1/16"] != of_task["clean"] for of_task in by_task)
    assert 0 <= found["validation"] <= 1 and found["history"][1]["loss"] == -0.2

    permuted = measure.measure(tiny.workdir, Dataset(permuted_data_dir), CONDITIONS, validate=True)
    assert permuted["labels"] != found["labels"] and permuted["robustness"] != found["robustness"]
    assert permuted["predictions"] == found["predictions"] and permuted["validation"] == found["validation"]

    monkeypatch.setattr(measure, "_measure", lambda *arguments: pytest.fail("it is known already"))
    assert measure.measure(tiny.workdir, Dataset(permuted_data_dir), CONDITIONS, validate=True) == permuted
    monkeypatch.setattr(measure, "_measure", lambda *arguments: {"anew": True, "robustness": {}})
    with open(os.path.join(tiny.workdir, "encoder.keras"), "ab") as file:
        file.write(b"another")
    assert "anew" in measure.measure(tiny.workdir, dataset, CONDITIONS, validate=True)


@pytest.mark.slow
def test_it_is_what_an_evaluation_finds_and_its_features_are_those_of_the_store(tiny, finish, tmp_path):
    config = dataclasses.replace(tiny, workdir=str(tmp_path / "run"))
    finish(config)
    lines, dataset = [], Dataset(config.data_dir)
    found = measure.measure(config.workdir, dataset, robustness.conditions("rgb"))
    tasks = (*measure.TASKS, "robustness")
    results = evaluate.evaluate(
        config.workdir, dataset, task=tasks, output=str(tmp_path / "out"), progress=lines.append
    )
    assert not lines  # nothing was embedded again
    results = json.loads(json.dumps(results))
    assert found["robustness"]["accuracy_by_condition"] == results["robustness"]["accuracy_by_condition"]
    for task in measure.TASKS:
        assert found[task]["accuracy"][TRAINED] == results[task]["accuracy"][TRAINED]
        assert found[task]["protocol"] == results[task]["protocol"]


def test_an_earlier_measurement_of_another_shape_is_made_again(tiny, finish, tmp_path):
    config = dataclasses.replace(tiny, workdir=str(tmp_path / "run"))
    finish(config)
    known = measure.identity(resolve_run(config.workdir), Dataset(config.data_dir))
    earlier = {"identity": known, "conditions": ["clean"], "validated": False, "scores": {"trained": {}}}
    measure.write(os.path.join(config.workdir, "evaluation", "experiments.json"), earlier)
    assert measure.measure(config.workdir, Dataset(config.data_dir))["robustness"]["conditions"] == ["clean"]


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
