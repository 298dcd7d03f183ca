"""--task=finetune: semi-supervised accuracy, encoder and classifier trained together on a fraction of the labels."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import setting
from keras_simsiam.evaluation import figures, finetuning
from keras_simsiam.evaluation.tasks import Seed
from keras_simsiam.probes import features, label_subsets, scores
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.batches import clean_batches

# of the training split, at least a frame of each class, where there is no split to validate by
HELD_OUT = 0.1
HELD_OUT_SEED = 1_000_000  # apart from those of the draws


@dataclasses.dataclass(frozen=True)
class Settings(label_subsets.Draws, Seed):
    """On how many labels, how many subsets are drawn, and how an encoder is trained."""

    finetune_fractions: tuple[float, ...] = setting(
        (0.1,), "Shares of the training labels, 0 to 1, to fine-tune on.", above=0, high=1
    )
    finetune_epochs: int = setting(60, "Epochs of each fine-tuning.", low=1)
    finetune_lr: tuple[float, ...] = setting(
        (0.05, 0.5), "Base learning rates, of a batch of 256, to choose from.", above=0
    )
    cache_gb: float = setting(8.0, "Most memory for the frames that are fine-tuned on, in units of 10⁹ bytes.")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which frames do what, as rows of the frames that are kept in memory.

    Attributes:
        places: int [n], ascending: of the frames to keep, in the training split or, from its end on, in the validation split.
        validation: int [v].
        learnt: by the fraction's name a list of int [m], one a draw.
    """

    places: np.ndarray
    validation: np.ndarray
    learnt: dict


def check(compared, data, settings):
    """Refuses what `label_subsets.check` refuses, no rate to choose from, and unlabelled data.

    Raises:
        UserError: fewer labels than classes at a fraction; no rate; there are no labels, or, without a validation split, fewer
            than two a class; the encoder is an export.
    """
    data.require_labels("finetune", *_splits(data)[1:])
    label_subsets.check(settings.finetune_fractions, (), data, "finetune_fractions")
    if not settings.finetune_lr:
        raise UserError("`finetune_lr` is empty: give at least one rate")
    if not data.validation and data.dataset.splits[data.train].count < 2 * len(data.dataset.classes):
        raise UserError(
            f"split {data.train} of {data.dataset.path} has fewer than two frames a class: `task=finetune` needs some of each "
            "to learn from and some to validate by"
        )
    _ = compared.encoders  # an export has none that could be trained, and says so


def run(compared, data, output, settings):
    """Trains each encoder on draws of the training labels, and scores the test split once.

    The split `val` chooses the epoch and the learning rate, or, where there is none, a part of the training split that no draw
    contains.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for finetune.png and predictions_finetune.npz: `frames`, `labels`, and int64 [draws,M] by
            `<fraction>: <encoder>`.
        settings: `Settings`; fractions are of the training split's labels, of which what is held out for validation is not
            learnt from; the draws are of the seeds `seed`, `seed` + 1, …

    Returns:
        A task's results, with `labels` (by fraction, and of `validation`), and `accuracy_by_labels`: by encoder and fraction a
        `draws.summarise` and for each draw what was chosen, `validation`, `epoch` and `base_lr`.

    Raises:
        UserError: a sample has no label; the frames do not fit into memory; a training diverges.
    """
    labels = [_labels(compared, data, split) for split in _splits(data)]
    apart = sum(map(len, labels[1:]))
    seeds = range(settings.seed, settings.seed + settings.draws)
    plan = make_plan(labels[0], settings.finetune_fractions, seeds, len(data.dataset.classes), apart)
    samples = functools.reduce(tf.data.Dataset.concatenate, map(data.dataset.samples, _splits(data)))
    frames = finetuning.keep(
        samples, plan.places, np.concatenate(labels), preprocessing=compared.preprocessing, limit_gb=settings.cache_gb
    )
    tuned = {
        (name, fraction): [
            _tuned(compared, name, data, frames, plan, fraction, draw, settings) for draw in range(settings.draws)
        ]
        for name in compared.names
        for fraction in plan.learnt
    }
    test, predictions = _predict(tuned, compared, data)
    kept = {f"{fraction}: {name}": np.stack(found) for (name, fraction), found in predictions.items()}
    np.savez_compressed(output / "predictions_finetune.npz", frames=test.frames, labels=test.labels, **kept)
    _draw(tuned, predictions, test.labels, compared.names, list(plan.learnt), output / "finetune.png")
    counts = {fraction: len(rows[0]) for fraction, rows in plan.learnt.items()}
    found = {
        name: {
            fraction: _summary(test.labels, predictions[name, fraction], tuned[name, fraction]) for fraction in counts
        }
        for name in compared.names
    }
    return {
        "protocol": _protocol(settings, seeds, _choosing(data, len(plan.validation))),
        "files": ["finetune.png", "predictions_finetune.npz"],
        "table": _table(found, counts),
        "labels": counts | {"validation": len(plan.validation)},
        "accuracy_by_labels": found,
    }


def _splits(data):
    """The splits whose labels are known: the one to learn from, and the one to validate by where there is one."""
    return [data.train, data.validation] if data.validation else [data.train]


def _labels(compared, data, split):
    labels = data.features(compared, split)[compared.names[0]].labels
    scores.require_labels(labels, f"split {split} of {data.dataset.path}")
    return labels


def _choosing(data, count):
    """What chooses the epoch and the rate, for the protocol."""
    return f"the {count} frames of split {data.validation}" if data.validation else f"{count} other training frames"


@dataclasses.dataclass(frozen=True)
class _Tuned:
    """A network with the validation accuracy after each epoch, and its base learning rate."""

    network: object
    validation: list
    base_lr: float


def _tuned(compared, name, data, frames, plan, fraction, draw, settings):
    """The best by validation of the trainings at several rates."""
    data.progress(f"fine-tuning: {name}, {fraction} of the labels, draw {draw + 1} of {len(plan.learnt[fraction])}")
    config = compared.source.config
    # a classifier takes two views
    # of a frame that is kept there is no depth
    plain = {"small_crops": 0, "background": "none", "crop_3d": ()}
    augmentation = dataclasses.replace(config.augmentation, **plain) if config else Augmentation()
    found = []
    for rate in settings.finetune_lr:
        network, validation = finetuning.train(
            compared.encoders[name],
            len(data.dataset.classes),
            frames=frames,
            rows=plan.learnt[fraction][draw],
            validation=plan.validation,
            augmentation=augmentation,
            recipe=finetuning.Recipe(settings.finetune_epochs, rate, settings.seed + draw),
        )
        found.append(_Tuned(network, validation, rate))
    return max(found, key=lambda one: max(one.validation))


def _predict(tuned, compared, data):
    """Features of the test split, and by the keys of `tuned` a list of predictions int64 [M], in one pass over its frames."""
    networks = [one.network for of_draws in tuned.values() for one in of_draws]
    batches = clean_batches(data.dataset.samples(data.test), compared.preprocessing, batch_size=data.batch_size)
    found = features.extract_each(networks, batches)
    scores.require_labels(found[0].labels, f"split {data.test} of {data.dataset.path}")
    predicted = iter(logits.embeddings.argmax(axis=1) for logits in found)
    return found[0], {key: [next(predicted) for _ in of_draws] for key, of_draws in tuned.items()}


def _summary(labels, predictions, tuned):
    return label_subsets.summarise(labels, predictions) | {
        "validation": [max(one.validation) for one in tuned],
        "epoch": [finetuning.best_epoch(one.validation) for one in tuned],
        "base_lr": [one.base_lr for one in tuned],
    }


def _protocol(settings, seeds, choosing):
    rates = " or ".join(f"{rate:g}" for rate in settings.finetune_lr)
    return (
        "encoder and a linear classifier trained together on two augmented views of each labelled frame, SGD m=0.9, no weight "
        f"decay, batches of at most {finetuning.BATCH}, {settings.finetune_epochs} epochs, cosine from a base lr of "
        f"{rates} (times B/256); epoch and rate chosen by the labels of {choosing}; "
        f"mean ± standard deviation of {len(seeds)} draws (seeds {seeds[0]} to {seeds[-1]}), classes taking "
        "turns; the same with every encoder"
    )


def _table(found, counts):
    rows = [["fine-tuned, top-1 accuracy, %", "labels", *found]]
    for fraction, count in counts.items():
        rows.append(
            [fraction, str(count), *(label_subsets.cell(by_fraction[fraction]) for by_fraction in found.values())]
        )
    return rows


def _draw(tuned, predictions, labels, names, fractions, path):
    """The validation accuracy over the epochs, a line a draw, with a dot at the epoch that was chosen."""
    figure, places = figures.panels(len(fractions), width=4.8)
    for axes, fraction in zip(places, fractions, strict=True):
        for name, colour in zip(names, figures.COLOURS, strict=False):
            test = label_subsets.cell(label_subsets.summarise(labels, predictions[name, fraction]))
            for number, one in enumerate(tuned[name, fraction]):
                epoch = finetuning.best_epoch(one.validation)
                label = f"{name}: test {test} %" if number == 0 else None
                values = 100 * np.array(one.validation)
                axes.plot(range(1, len(values) + 1), values, color=colour, alpha=0.6, linewidth=1, label=label)
                axes.plot(epoch, values[epoch - 1], "o", color=colour, markersize=5)
        axes.set(title=f"{fraction} of the labels", xlabel="epoch", ylim=(0, 101))
        axes.legend(fontsize=8)
    places[0].set_ylabel("validation accuracy, %")
    figure.savefig(path)


def make_plan(labels, fractions, seeds, num_classes, apart=0):
    """Chooses frames to validate by and draws to learn from.

    Args:
        labels: int64 [N], ≥ 0, of the training split.
        fractions: of all N labels.
        seeds: of the draws.
        num_classes: C.
        apart: the number of frames of a split to validate by, whose places follow those of the training split; 0: a part of
            the training split is held out instead.

    Returns:
        A `Plan`. No frame of `validation` is in a draw; a draw of all labels is of all others.
    """
    held_out, rest = len(labels) + np.arange(apart), np.arange(len(labels))
    if not apart:
        order = label_subsets.order(labels, HELD_OUT_SEED)
        held = max(round(HELD_OUT * len(labels)), num_classes)
        held_out, rest = np.sort(order[:held]), np.sort(order[held:])
    counts = label_subsets.counts(labels, fractions)
    learnt = {
        name: [rest[label_subsets.order(labels[rest], seed)[:count]] for seed in seeds]
        for name, count in counts.items()
    }
    places = np.unique(np.concatenate([held_out, *(rows for of_draws in learnt.values() for rows in of_draws)]))
    return Plan(
        places,
        np.searchsorted(places, held_out),
        {name: [np.searchsorted(places, rows) for rows in of_draws] for name, of_draws in learnt.items()},
    )
