"""--task=label_fraction: accuracy on frozen features when only some of the training frames have labels."""

import dataclasses
import warnings

import numpy as np

from keras_simsiam.core.settings import setting
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.tasks import Seed, knn
from keras_simsiam.probes import classifiers, label_subsets, scores


@dataclasses.dataclass(frozen=True)
class Settings(label_subsets.Draws, knn.KNN, Seed):
    """How many labels, and how many subsets of them are drawn."""

    label_fractions: tuple[float, ...] = setting(
        (0.01, 0.1, 0.2, 0.5, 1.0), "Shares of the training labels, 0 to 1.", above=0, high=1
    )
    labels_per_class: tuple[int, ...] = setting((1, 5, 10), "Numbers of labels of each class; may be empty.", low=1)


def check(compared, data, settings):
    """Refuses what `label_subsets.check` refuses, and unlabelled data.

    Raises:
        UserError: fewer labels than classes at a fraction; there are no labels, or none to learn from.
    """
    data.require_labels("label_fraction")
    label_subsets.check(settings.label_fractions, settings.labels_per_class, data, "label_fractions")


def run(compared, data, output, settings):
    """Fits kNN and the linear probe on balanced draws of the training labels, and scores the whole test split.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for label_fraction.png and predictions_label_fraction.npz: `frames`, `labels`, and int64
            [draws,M] by `<budget>: <probe>, <encoder>`.
        settings: `Settings`; the draws are of the seeds `seed`, `seed` + 1, …, and of all labels there is one.

    Returns:
        A task's results, with `labels`, the number of labels by the budget's name, and `accuracy_by_labels`, by probe,
        encoder and budget: `draws.summarise`.

    Raises:
        UserError: a class has fewer frames than are asked of each; a sample has no label.
    """
    train, test = data.features(compared, data.train), data.features(compared, data.test)
    labels = test[compared.names[0]].labels
    for split, found in ((data.train, train), (data.test, test)):
        scores.require_labels(found[compared.names[0]].labels, f"split {split} of {data.dataset.path}")
    counts = label_subsets.counts(train[compared.names[0]].labels, settings.label_fractions, settings.labels_per_class)
    # scaled by all training features, of which no labels are needed; the linear probe standardises what it is given
    scale = data.scaler(compared, settings)
    asked = {"knn": knn.probe(settings, data), "linear": classifiers.logistic(len(data.dataset.classes))}
    given = {"knn": (scale(train), scale(test)), "linear": (train, test)}
    seeds = range(settings.seed, settings.seed + settings.draws)
    predictions = {
        (probe, name, budget): _predict(asked[probe], *(split[name] for split in given[probe]), count, seeds)
        for probe in asked
        for name in compared.names
        for budget, count in counts.items()
    }
    found = {
        probe: {
            name: {budget: label_subsets.summarise(labels, predictions[probe, name, budget]) for budget in counts}
            for name in compared.names
        }
        for probe in asked
    }
    kept = {f"{budget}: {probe}, {name}": np.stack(rows) for (probe, name, budget), rows in predictions.items()}
    frames = test[compared.names[0]].frames
    np.savez_compressed(output / "predictions_label_fraction.npz", frames=frames, labels=labels, **kept)
    titles = {name: probe.title for name, probe in asked.items()}
    _draw(found, counts, titles, len(labels), output / "label_fraction.png")
    return {
        "protocol": _protocol(asked, seeds),
        "files": ["label_fraction.png", "predictions_label_fraction.npz"],
        "table": _table(found, counts, titles),
        "labels": counts,
        "accuracy_by_labels": found,
    }


def _predict(probe, train, test, count, seeds):
    """The predictions of each draw, a list of int64 [M]. The test split lends its features alone."""
    seeds = seeds[:1] if count == len(train.labels) else seeds
    chosen = (label_subsets.order(train.labels, seed)[:count] for seed in seeds)
    with warnings.catch_warnings():
        # what scikit-learn warns of is what is asked for here
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        return [probe.classify(train.embeddings[rows], train.labels[rows], test.embeddings) for rows in chosen]


def _protocol(asked, seeds):
    means = "; ".join(f"{name}: {probe.protocol}" for name, probe in asked.items())
    return (
        f"mean ± standard deviation of {len(seeds)} draws (seeds {seeds[0]} to {seeds[-1]}), classes taking turns; one draw of "
        f"all labels; k at most the number of labels; {means}"
    )


def _table(found, counts, titles):
    columns = [(probe, name) for probe in found for name in found[probe]]
    rows = [["labels", "", *(f"{titles[probe]}, {name}" for probe, name in columns)]]
    for budget, count in counts.items():
        rows.append([budget, str(count), *(label_subsets.cell(found[probe][name][budget]) for probe, name in columns)])
    return rows


def _ticks(counts):
    """Where the axis is marked, and by what: one mark of budgets that are as many labels."""
    names = {}
    for name, count in counts.items():
        names.setdefault(count, []).append(name)
    return list(names), [f"{' = '.join(same)} ({count})" for count, same in names.items()]


def _draw(found, counts, titles, tested, path):
    figure, places = figures.panels(len(found))
    for axes, (probe, by_name) in zip(places, found.items(), strict=True):
        for (name, by_budget), colour in zip(by_name.items(), figures.COLOURS, strict=False):
            means, deviations = (
                [100 * (summary[key] or 0) for summary in by_budget.values()] for key in ("mean", "std")
            )
            axes.errorbar(
                list(counts.values()), means, deviations, fmt="o-", markersize=4, capsize=3, label=name, color=colour
            )
        axes.set_xscale("log")
        axes.set_xticks(*_ticks(counts), fontsize=7, rotation=60)
        axes.minorticks_off()
        axes.set(
            title=titles[probe], xlabel="labels", ylabel=f"top-1 accuracy, % of {tested} test frames", ylim=(0, 100)
        )
        axes.legend(fontsize=8, loc="upper left")
    figure.savefig(path)
