"""What holds of each task: its results are JSON, its files are there, and test labels reach nothing but scores."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.image import imread

from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import finetuning
from keras_simsiam.evaluation.data import Data
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from keras_simsiam.evaluation.tasks import embedding_map, finetune, label_fraction, neighbours, pose, robustness
from keras_simsiam.probes.features import Features
from keras_simsiam.views.batches import clean_batches

SETTINGS = {
    label_fraction: {"label_fractions": (0.25, 1.0), "labels_per_class": (1,), "draws": 2, "knn_k": 5},
    finetune: {"finetune_fractions": (0.25,), "draws": 2, "finetune_epochs": 2, "cache_gb": 1.0},
    neighbours: {"neighbour_queries": 4},
    embedding_map: {},
    pose: {},
    robustness: {"knn_k": 5},
}
SETTINGS = {task: task.Settings(**given) for task, given in SETTINGS.items()}


def permuted(samples):
    """The same samples, each with a label of another class."""
    return samples.map(lambda sample: sample | {"label": (sample["label"] + 1) % 3})


@pytest.fixture
def run(output):
    def run(task, compared, data, **changes):
        settings = dataclasses.replace(SETTINGS[task], **changes)
        task.check(compared, data, settings)
        return task.run(compared, data, output, settings)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("task", SETTINGS)
def test_results_are_json_and_files_are_there(task, run, make_compared, make_data, output):
    found = run(task, make_compared(), make_data())
    assert set(json.loads(json.dumps(found))) == set(found)
    assert all((output / file).stat().st_size > 0 for file in found["files"]) and found["files"]
    assert "\n" not in found["protocol"]
    assert len({len(row) for row in found["table"]}) == 1 and len(found["table"]) > 1
    assert all(isinstance(cell, str) for row in found["table"] for cell in row)


@pytest.mark.slow
@pytest.mark.parametrize("task", [label_fraction, finetune, robustness])
def test_predictions_do_not_depend_on_the_test_labels(task, run, make_compared, make_data, output):
    kept = []
    for change in (lambda samples: samples, permuted):
        files = run(task, make_compared(), make_data(change=change))["files"]
        kept.append(dict(np.load(output / next(file for file in files if file.endswith(".npz")))))
    assert not np.array_equal(kept[0].pop("labels"), kept[1].pop("labels"))
    for name in kept[0]:
        np.testing.assert_array_equal(kept[0][name], kept[1][name])


@pytest.mark.slow
def test_neighbours_do_not_depend_on_the_test_labels(run, make_compared, make_data):
    """Of the queries in the picture some are drawn of each class; who is near to them is a matter of features alone."""
    clean, moved = (
        run(neighbours, make_compared(), make_data(change=change), neighbour_queries=30)["shown"][TRAINED]
        for change in (lambda samples: samples, permuted)
    )
    assert {one["query"]: one["neighbours"] for one in clean} == {one["query"]: one["neighbours"] for one in moved}
    assert all(all(one["right"]) for one in clean) and not any(any(one["right"]) for one in moved)


def test_the_share_of_right_neighbours_is_a_count_of_labels(run, make_compared, make_data, monkeypatch):
    random, data = np.random.default_rng(0), make_data()
    known = {}
    for split in ("train", "test"):
        count, facts = data.dataset.splits[split].count, next(iter(data.dataset.samples(split).batch(99)))
        labels, frames = random.integers(0, 3, count), facts["frame"].numpy().astype(str)
        known[split] = {
            name: Features(random.normal(size=(count, 5)).astype(np.float32), labels, frames, labels)
            for name in (TRAINED, UNTRAINED)
        }
    monkeypatch.setattr(Data, "features", lambda data, compared, split: known[split])
    found = run(neighbours, make_compared(), data, scaling="none")["precision"]
    for name in (TRAINED, UNTRAINED):
        bank, queries = known["train"][name], known["test"][name]
        right = 0
        for query, label in zip(queries.embeddings, queries.labels, strict=True):
            cosines = bank.embeddings @ query / np.linalg.norm(bank.embeddings, axis=1)
            right += np.sum(bank.labels[np.argsort(-cosines)[: neighbours.SHOWN]] == label)
        assert found[name] == pytest.approx(right / (30 * neighbours.SHOWN))


def test_label_fraction_counts_and_draws(run, make_compared, make_data):
    found = run(label_fraction, make_compared(), make_data())
    assert found["labels"] == {"1 a class": 3, "25 %": 9, "100 %": 36}
    assert found["accuracy_by_labels"]["linear"][TRAINED]["100 %"]["mean"] == 1  # any encoder tells the colours apart
    by_budget = found["accuracy_by_labels"]["knn"][UNTRAINED]
    assert [len(by_budget[name]["top1"]) for name in by_budget] == [2, 2, 1]
    assert by_budget["100 %"]["std"] is None


@pytest.mark.parametrize(("task", "flag"), [(label_fraction, "label_fractions"), (finetune, "finetune_fractions")])
def test_fewer_labels_than_classes_are_refused_before_anything_runs(task, flag, make_compared, make_data):
    with pytest.raises(UserError, match=f"`{flag}=0.05`: 2 of 36 labels are fewer than the 3 classes"):
        task.check(make_compared(), make_data(), dataclasses.replace(SETTINGS[task], **{flag: (0.05,)}))


def test_finetuning_needs_a_rate(make_compared, make_data):
    with pytest.raises(UserError, match="`finetune_lr` is empty"):
        finetune.check(make_compared(), make_data(), dataclasses.replace(SETTINGS[finetune], finetune_lr=()))


@pytest.mark.parametrize("task", [task for task in SETTINGS if task is not pose])
def test_unlabelled_data_is_refused(task, make_compared, make_data):
    data = make_data()
    data.dataset.splits["test"].unlabelled = 3
    with pytest.raises(UserError, match=r"3 of 30 samples without a label: `task=\w+` needs labels"):
        task.check(make_compared(), data, SETTINGS[task])


def test_pose_needs_recordings(run, make_compared, make_data):
    with pytest.raises(UserError, match="no recording of 8 frames or more"):
        run(pose, make_compared(), make_data(train=9, test=9))


def test_pose_is_learnt_across_the_splits(run, make_compared, make_data):
    found = run(pose, make_compared(), make_data())
    assert found["recordings"] == [f"{name}_1_{video}" for name in ("apple", "leaf", "plum") for video in (1, 2)]
    assert found["errors"]["within"][TRAINED]["predictions"] == 66
    assert found["errors"]["across"][TRAINED]["predictions"] == 66
    assert found["difference"]["within"]["verdict"] in ("tie", "differs")


def test_pose_scores_are_numpys_of_the_errors_that_are_kept(run, make_compared, make_data, output):
    found = run(pose, make_compared(), make_data())["errors"]
    kept = np.load(output / "predictions_pose.npz")
    assert {(way, name) for way in found for name in found[way]} == {
        (way, name) for way in ("within", "across") for name in (TRAINED, UNTRAINED, pose.CHANCE)
    }
    for way, by_name in found.items():
        for name, summary in by_name.items():
            sizes = np.sort(np.abs(kept[f"{way}: {name}"]))
            assert len(sizes) == summary["predictions"] == 66 and sizes[-1] <= 180
            assert summary["median_degrees"] == pytest.approx((sizes[32] + sizes[33]) / 2)
            assert summary["within_30_degrees"] == pytest.approx(np.count_nonzero(sizes <= 30) / 66)


def test_finetuning_is_validated_by_the_split_val_where_there_is_one(run, make_compared, make_data, monkeypatch):
    compared, data, seen = make_compared(), make_data(val=9), []

    def train(encoder, num_classes, frames, rows, validation, augmentation, recipe):
        seen.append((frames, rows, validation))
        return finetuning._build(encoder, num_classes)[0], [0.5]

    monkeypatch.setattr(finetuning, "train", train)
    found = run(finetune, compared, data, finetune_fractions=(1.0,))
    assert found["labels"] == {"100 %": 36, "validation": 9} and "the 9 frames of split val;" in found["protocol"]
    (view, facts), (learnt, _) = (
        next(iter(clean_batches(data.dataset.samples(split), compared.preprocessing, batch_size=99)))
        for split in ("val", "train")
    )
    assert len(seen) == 2 * 2 * 2  # encoders, draws, rates
    for frames, rows, validation in seen:
        np.testing.assert_array_equal(next(iter(frames.clean(validation, 99)))["rgb"], view["rgb"])
        np.testing.assert_array_equal(frames.labels[validation], facts["label"])
        np.testing.assert_array_equal(next(iter(frames.clean(np.sort(rows), 99)))["rgb"], learnt["rgb"])
    data.dataset.splits["val"].unlabelled = 2
    with pytest.raises(UserError, match="split val has 2 of 9 samples without a label: `task=finetune`"):
        finetune.check(compared, data, SETTINGS[finetune])


def test_a_split_that_is_learnt_from_or_measured_on_validates_nothing(make_data):
    data = make_data(val=9)
    assert data.validation == "val" and make_data().validation is None
    assert all(dataclasses.replace(data, **{role: "val"}).validation is None for role in ("train", "test"))


def test_robustness_leaves_out_what_an_encoder_cannot_see():
    assert robustness.conditions("rgb") == [name for name in robustness.conditions("rgbd") if "depth" not in name]
    assert robustness.conditions("hha") == ["clean", "depth −25 %", "depth −50 %"]
    assert len(robustness.conditions("rgbd")) == 9


def test_a_map_needs_three_frames(run, make_compared, make_data):
    run(embedding_map, make_compared(), make_data(test=3))
    with pytest.raises(UserError, match="has 2 frames"):
        run(embedding_map, make_compared(), make_data(test=2))


@pytest.mark.slow
def test_neighbours_show_depth_where_there_is_some(run, make_compared, make_data, output):
    heights = []
    for depth in (False, True):
        run(neighbours, make_compared(), make_data(depth=depth))
        heights.append(imread(output / "neighbours.png").shape[0])
    assert heights[1] > 1.5 * heights[0]
