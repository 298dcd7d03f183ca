"""What the tasks that classify frozen features share: each encoder's predictions, their scores and pictures."""

import numpy as np

from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import figures
from keras_simsiam.probes import classifiers, scores


def check(task, compared, data, settings):
    """Refuses what cannot be classified.

    Args:
        task: the task's name.
        compared: `ComparedEncoders`.
        data: a `Data`.
        settings: a `tasks.ByModality`.

    Raises:
        UserError: there are no labels; `by_modality` of features that are not colour's and depth's.
    """
    data.require_labels(task)
    if settings.by_modality and compared.parts == 1:
        raise UserError(
            f"`by_modality` needs an RGB-D encoder that keeps colour's and depth's features apart, which "
            f"{compared.source.name} does not: leave it out"
        )


def run(task, probe, compared, data, output, scale=lambda found: found, by_modality=False):
    """Asks a probe of each encoder, and writes what it predicts of the test split.

    Args:
        task: the task's name, of which the files' names are made.
        probe: a `classifiers.Probe`.
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for confusion_<task>.png, of the first encoder, and predictions_<task>.npz: `frames` and
            `labels` of the test split, and the predicted labels by the encoder's name.
        scale: what is done to the features of a split first (`Data.scaler`).
        by_modality: each encoder has three more rows: colour's and depth's features alone, and `classifiers.fused` of both.

    Returns:
        A task's results (keras_simsiam.evaluation.tasks): `title`, `protocol`, `accuracy` by encoder and of chance,
        `samples_per_class` of the test split, `files`.

    Raises:
        UserError: a sample of one of the splits has no label.
    """
    train, test = (scale(data.features(compared, split)) for split in (data.train, data.test))
    asked, classes = compared.names[0], data.dataset.classes
    first = test[asked]
    scores.require_labels(first.labels, f"split {data.test} of {data.dataset.path}")
    predictions = {}
    for name in compared.names:
        predictions |= classifiers.predict({name: probe}, train[name], test[name])
        if by_modality:
            predictions |= _by_modality(name, probe, train[name], test[name])
    accuracy = {name: scores.summarise(first.labels, found, len(classes)) for name, found in predictions.items()}
    figure, kept = f"confusion_{task}.png", f"predictions_{task}.npz"
    title = f"{probe.title}: top-1 {100 * accuracy[asked]['top1']:.1f} %"
    figures.confusion_matrix(first.labels, predictions[asked], classes, title, output / figure)
    np.savez_compressed(output / kept, frames=first.frames, labels=first.labels, **predictions)
    without = classifiers.chance(train[asked].labels, first.labels, len(classes))
    return {
        "title": probe.title,
        "protocol": probe.protocol,
        "accuracy": accuracy | {f"chance: {name}": summary for name, summary in without.items()},
        "samples_per_class": np.bincount(first.labels, minlength=len(classes)).tolist(),
        "files": [figure, kept],
    }


def _by_modality(name, probe, train, test):
    """Predictions by what is asked: colour's half of an encoder's features, depth's, and both in a vote."""
    halves = [np.split(found.embeddings[:], 2, axis=1) for found in (train, test)]
    (colour, depth), both = classifiers.fused(probe, halves[0], train.labels, halves[1])
    return {f"{name}, colour": colour, f"{name}, depth": depth, f"{name}, vote of both": both}
