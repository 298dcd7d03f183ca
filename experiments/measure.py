"""What is measured of a run: kNN and a linear probe of its encoder, and of the same untrained; kept beside it."""

import functools
import json
import os

import numpy as np
import tensorflow as tf
from tensorflow import keras

import evaluate
from keras_simsiam.core import files, frame_names
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import corruptions
from keras_simsiam.probes import classifiers, features, knn, scores
from keras_simsiam.training import run
from keras_simsiam.views.batches import clean_batches

K, TEMPERATURE = 20, 0.1
BATCH = 64
TASKS = ("knn", "linear")


def require(dataset):
    """Refuses a data set that the probes cannot use.

    Raises:
        UserError: it has no classes, or lacks the split train or test.
    """
    for split in ("train", "test"):
        dataset.split(split)
    if not dataset.classes:
        raise UserError(f"{dataset.path} has no classes: the experiments need a labelled data set")


def measure(workdir, dataset, conditions=("clean",), validate=False):
    """Measures a run that is complete, or reads what was measured of it, of the same encoder and data, before.

    The bank of kNN and the linear probe's training set is the split train, clean; the test split is seen under each condition.
    Its labels enter the scores alone. What another experiment asked of the run is kept: that is measured again with the rest.

    Args:
        workdir: the run's folder.
        dataset: the `tfrecords.Dataset`.
        conditions: names of `robustness.CONDITIONS`, `clean` the first.
        validate: whether to add `validation`, a kNN accuracy on the training split to choose variants by.

    Returns:
        A dict of JSON values: `identity` (encoder's and data's SHA-256, settings, versions), `conditions` and `validated` (what
        was asked), `seed`, `parameters` of the encoder, `protocol`, `frames` and `labels` of the test split, `predictions` and
        `scores` by encoder (`trained`, `untrained`), condition and task, `validation`, and `history`, the lines of
        metrics.jsonl.

    Raises:
        UserError: the run is not complete or has diverged, or a sample has no label.
    """
    known = identity(workdir, dataset)
    path = os.path.join(workdir, "evaluation", "experiments.json")
    found = read(path)
    if found.get("identity") != known:
        found = {"conditions": [], "validated": False}
    if not set(conditions) <= set(found["conditions"]) or validate > found["validated"]:
        asked = list(dict.fromkeys([*found["conditions"], *conditions])), validate or found["validated"]
        print(f"measuring {workdir}", flush=True)
        names = {"identity": known, "conditions": asked[0], "validated": asked[1]}
        write(path, names | _measure(workdir, dataset, *asked))
        found = read(path)  # as it will be found again: tuples are lists
    with open(os.path.join(workdir, "metrics.jsonl")) as file:
        return found | {"history": [json.loads(line) for line in file]}


def writing(what):
    """`files.writing` for what an experiment writes: the flag or the file, for the message."""
    return files.writing(what, "make room, or choose another --workdir")


def write(path, found):
    """Writes JSON that appears whole, with its folder.

    Raises:
        UserError: it cannot be written.
    """
    with writing(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        files.write_text(path, json.dumps(found))


def read(path):
    """The JSON of a file; an empty dict where there is none, or a damaged one."""
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def identity(workdir, dataset):
    """What decides a measurement of a run's encoder on a data set: a dict of JSON values.

    Args:
        workdir: the run's folder.
        dataset: the `tfrecords.Dataset`.
    """
    return {
        "encoder": files.sha256(os.path.join(workdir, "encoder.keras")),
        "data": dataset.checksum,
        "k": K,
        "temperature": TEMPERATURE,
        "versions": evaluate.versions(),
    }


def _measure(workdir, dataset, conditions, validate):
    keras.backend.clear_session()
    config = run.load_config(workdir)
    encoders = {"trained": run.load_encoder(workdir), "untrained": run.untrained_encoder(config)}
    embedded = _embed(encoders, dataset, config, conditions)
    bank, clean = embedded["trained"]["train"], embedded["trained"]["clean"]
    num_classes = len(dataset.classes)
    available = classifiers.available(min(K, len(bank.labels)), TEMPERATURE, num_classes)
    predictions = {name: _predict(available, parts, conditions) for name, parts in embedded.items()}
    return {
        "seed": config.seed,
        "parameters": encoders["trained"].count_params(),
        "protocol": {task: available[task].protocol for task in TASKS},
        "frames": clean.frames.tolist(),
        "labels": clean.labels.tolist(),
        "predictions": predictions,
        "scores": _score(predictions, clean.labels, num_classes),
        "validation": _validation(bank, clean.frames, num_classes) if validate else None,
    }


def _embed(encoders, dataset, config, conditions):
    """Features by encoder, then `train` or a condition. In one pass: building the graphs of HHA and encoders takes seconds."""
    test = dataset.samples("test")
    parts = {"train": dataset.samples("train")} | {name: corruptions.under(name, test) for name in conditions}
    samples = functools.reduce(tf.data.Dataset.concatenate, parts.values())
    extracted = features.extract_each(
        list(encoders.values()), clean_batches(samples, config.preprocessing, batch_size=BATCH)
    )
    scores.require_labels(extracted[0].labels, dataset.path)
    ends = dataset.splits["train"].count + dataset.splits["test"].count * np.arange(len(conditions))
    return {
        name: dict(zip(parts, _split(found, ends), strict=True))
        for name, found in zip(encoders, extracted, strict=True)
    }


def _split(found, ends):
    """Features cut at these places."""
    arrays = zip(*(np.split(array, ends) for array in vars(found).values()), strict=True)
    return [features.Features(*part) for part in arrays]


def _predict(available, parts, conditions):
    """Predicted labels, lists, by condition and task. All conditions at once: a linear probe is fitted once."""
    bank, queries = parts["train"], np.concatenate([parts[name].embeddings for name in conditions])
    found = {task: available[task].classify(bank.embeddings, bank.labels, queries) for task in TASKS}
    split = {task: np.split(values, len(conditions)) for task, values in found.items()}
    return {name: {task: split[task][index].tolist() for task in TASKS} for index, name in enumerate(conditions)}


def _score(predictions, labels, num_classes):
    return {
        encoder: {
            condition: {task: scores.summarise(labels, np.array(found), num_classes) for task, found in tasks.items()}
            for condition, tasks in conditions.items()
        }
        for encoder, conditions in predictions.items()
    }


def _validation(bank, test_frames, num_classes):
    """kNN accuracy on the training split, of each frame against what is not of its recording.

    As the test is of other recordings of the same objects; where it is of other objects, against what is not of its object.
    """
    groups, tested = _recordings(bank.frames), _recordings(test_frames)
    if not set(_recordings(groups)) & set(_recordings(tested)):  # <object>_<video>: no object is in both
        groups = _recordings(groups)
    right = []
    for group in np.unique(groups):
        inside = groups == group
        if inside.all():
            return None  # a single recording: there is nothing to hold it against
        predicted = knn.classify(
            bank.embeddings[~inside], bank.labels[~inside], bank.embeddings[inside], K, TEMPERATURE, num_classes
        )
        right.extend(predicted == bank.labels[inside])
    return float(np.mean(right))


def _recordings(names):
    return np.array([frame_names.place(name)[0] for name in names])
