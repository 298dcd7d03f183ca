"""What is measured of a run: kNN and a linear probe of its encoder, and of the same untrained; kept next to it."""

import json
import os

import numpy as np
from tensorflow import keras

from keras_simsiam.core import files, frame_names
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import evaluate, feature_store
from keras_simsiam.evaluation.data import Data
from keras_simsiam.evaluation.encoders.compared import TRAINED, compare
from keras_simsiam.evaluation.encoders.source import resolve_run
from keras_simsiam.evaluation.tasks import robustness
from keras_simsiam.evaluation.tasks.knn import Settings
from keras_simsiam.probes import knn

K, TEMPERATURE = 20, 0.1
BATCH = 64
FEATURES_GB = evaluate.Evaluation.feature_cache_gb
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
        conditions: names of `corruptions.CONDITIONS`, `clean` the first.
        validate: whether to add `validation`, a kNN accuracy on the training split to choose variants by.

    Returns:
        A dict of JSON values: `knn`, `linear` and `robustness`, such as results.json has of these tasks; `identity` (encoder's
        and data's SHA-256, settings, versions), `conditions` and `validated` (what was asked), `seed`, `parameters` of the
        encoder, `frames` and `labels` of the test split, `predictions` by task, encoder and condition, `validation`, and
        `history`, the lines of metrics.jsonl.

    Raises:
        UserError: the run is not complete or has diverged, or a sample has no label.
    """
    source = resolve_run(workdir)
    known = identity(source, dataset)
    path = os.path.join(workdir, "evaluation", "experiments.json")
    found = read(path)
    if found.get("identity") != known or "robustness" not in found:
        found = {"conditions": [], "validated": False}
    if not set(conditions) <= set(found["conditions"]) or validate > found["validated"]:
        asked = list(dict.fromkeys([*found["conditions"], *conditions])), validate or found["validated"]
        print(f"measuring {workdir}", flush=True)
        names = {"identity": known, "conditions": asked[0], "validated": asked[1]}
        write(path, names | _measure(source, dataset, *asked))
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


def identity(source, dataset):
    """What decides a measurement of a run's encoder on a data set: a dict of JSON values.

    Args:
        source: the run's `EncoderSource`.
        dataset: the `tfrecords.Dataset`.
    """
    return {
        "encoder": source.sha256,
        "data": dataset.checksum,
        "k": K,
        "temperature": TEMPERATURE,
        "versions": evaluate.versions(),
    }


def _measure(source, dataset, conditions, validate):
    keras.backend.clear_session()
    compared = compare(source)
    store = feature_store.Store(feature_store.default_folder(), FEATURES_GB)
    data = Data(dataset, "train", "test", store, BATCH)
    probed = robustness.probe(compared, data, settings=Settings(knn_k=K, knn_temperature=TEMPERATURE), names=conditions)
    bank = data.features(compared, "train")[TRAINED]
    return {
        **{task: _of_task(task, probed) for task in TASKS},
        "robustness": {
            "protocol": robustness.protocol(probed.probes),
            "files": [],
            "conditions": list(conditions),
            "accuracy_by_condition": probed.accuracy,
        },
        "seed": source.config.seed,
        "parameters": compared.encoders[TRAINED].count_params(),
        "frames": probed.frames.tolist(),
        "labels": probed.labels.tolist(),
        "predictions": _lists(probed.predictions),
        "validation": _validation(bank, probed.frames, len(dataset.classes)) if validate else None,
    }


def _of_task(task, probed):
    """What results.json has of a task that classifies, without chance."""
    probe = probed.probes[task]
    accuracy = {encoder: by_condition["clean"] for encoder, by_condition in probed.accuracy[task].items()}
    return {"title": probe.title, "protocol": probe.protocol, "accuracy": accuracy, "files": []}


def _lists(values):
    """Arrays in nested dicts as JSON can hold them."""
    if isinstance(values, dict):
        return {name: _lists(inner) for name, inner in values.items()}
    return values.tolist()


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
