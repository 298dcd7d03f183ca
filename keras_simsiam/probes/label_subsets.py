"""Which training frames keep their labels when labels are few: balanced draws, and what several of them give."""

import dataclasses
import statistics

import numpy as np

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.probes import scores


@dataclasses.dataclass(frozen=True)
class Draws(Checked):
    """The setting of every task that learns from some of the labels."""

    draws: int = setting(3, "Draws of which frames have labels; the mean and deviation are of them.", low=1)


def order(labels, seed):
    """An order of the frames whose every beginning is balanced: classes take turns, each in a random order of its frames.

    The first n·C of it are n of each of C classes; a class that has run out is passed over, so that counts are as equal as the
    data allows. Of one seed a smaller draw is part of a larger one.

    Args:
        labels: int [N], ≥ 0, N > 0.
        seed: of the draw.

    Returns:
        int64 [N], places of frames.
    """
    labels, random = np.asarray(labels), np.random.default_rng(seed)
    shuffled = random.permutation(len(labels))
    turns = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        turns[of_class] = np.arange(len(of_class))
    class_order = random.permutation(labels.max() + 1)
    return np.lexsort((class_order[labels], turns))


def check(fractions, per_class, data, flag):
    """What a task's `check` refuses of these settings, before any label is known.

    Args:
        fractions: of all labels, each in (0, 1].
        per_class: numbers of labels of each class, each ≥ 1.
        data: a `Data`.
        flag: the name of the fractions' setting, for the error line.

    Raises:
        UserError: a fraction gives fewer labels than there are classes; there is nothing to do.
    """
    if not fractions and not per_class:
        raise UserError(f"`{flag}` is empty: give at least one fraction")
    total, classes = data.dataset.splits[data.train].count, len(data.dataset.classes)
    for fraction in fractions:
        if round(fraction * total) < classes:
            raise UserError(
                f"`{flag}={fraction:g}`: {round(fraction * total)} of {total} labels are fewer than the {classes} classes; "
                f"give at least {np.ceil(1000 * classes / total) / 1000:g}"
            )


def counts(labels, fractions, per_class=()):
    """How many labels each fraction, and each number a class, is: what to take of `order`.

    Args:
        labels: int [N], ≥ 0, N > 0.
        fractions: of all labels, each in (0, 1].
        per_class: numbers of labels of each class, each ≥ 1.

    Returns:
        A dict from a name, `10 %` or `5 a class`, to a number of labels, fewest first.

    Raises:
        UserError: a class has fewer frames than are asked of each.
    """
    sizes = np.bincount(labels)
    sizes = sizes[sizes > 0]
    if max(per_class, default=0) > sizes.min():
        raise UserError(
            f"`labels_per_class={max(per_class)}`: a class has {sizes.min()} training frames; give at most {sizes.min()}"
        )
    budgets = {f"{number} a class": int(number * len(sizes)) for number in per_class}
    budgets |= {f"{100 * fraction:g} %": max(round(fraction * len(labels)), len(sizes)) for fraction in fractions}
    return dict(sorted(budgets.items(), key=lambda item: item[1]))


def summarise(labels, predictions):
    """The accuracies of several draws.

    Args:
        labels: int64 [M], M > 0.
        predictions: a list of int64 [M], one a draw.

    Returns:
        A dict that JSON can hold: `top1`, a list; `mean` and `std` of it, in 0..1, std None of a single draw; and
        `interval`, 95 % (Wilson) of the mean, for M independent samples: what the test set leaves open.
    """
    top1 = [scores.top1(labels, predicted) for predicted in predictions]
    mean = statistics.fmean(top1)
    std = statistics.stdev(top1) if len(top1) > 1 else None
    return {"top1": top1, "mean": mean, "std": std, "interval": list(scores.wilson_interval(mean, len(labels)))}


def cell(summary):
    """A table's cell: `71.3 ± 2.0`, in percent; without the deviation of a single draw."""
    deviation = "" if summary["std"] is None else f" ± {100 * summary['std']:.1f}"
    return f"{100 * summary['mean']:.1f}{deviation}"
