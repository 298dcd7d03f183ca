"""--task=robustness: the accuracy of a worse camera's test frames, under other colours, less light and less depth."""

import dataclasses

import numpy as np

from keras_simsiam.evaluation import corruptions, figures
from keras_simsiam.evaluation.tasks import knn
from keras_simsiam.probes import classifiers, scores

# a panel each: what is on its axis, and the conditions by where they are on it; the clean frames are where nothing changed
_SWEEPS = {
    "depth cut out, % of the pixels": {0: "clean", 25: "depth −25 %", 50: "depth −50 %"},
    "hue turned, degrees": {0: "clean", 90: "hue 1/4", 180: "hue 1/2"},
    "light, stops less": {0: "clean", 2: "dark 1/4", 4: "dark 1/16", 6: "dark 1/64"},
}
_COLOURLESS = "no colour"  # a point of its own beside the hues
_STYLES = {"knn": "o--", "linear": "s-"}


Settings = knn.KNN


def check(compared, data, settings):
    """Refuses unlabelled data.

    Raises:
        UserError: there are no labels.
    """
    data.require_labels("robustness")


def run(compared, data, output, settings):
    """Scores kNN and the linear probe, both of clean training frames, on the test split under each condition.

    Conditions that the encoder cannot see are left out: depth's of an RGB encoder, colour's and light's of an HHA one.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for robustness.png and predictions_robustness.npz: `frames`, `labels`, and int64
            [conditions,M] by `<probe>: <encoder>`.
        settings: `Settings`.

    Returns:
        A task's results, with `conditions`, a list, and `accuracy_by_condition`: by probe, encoder and condition a
        `scores.summarise`.

    Raises:
        UserError: a sample has no label.
    """
    names = conditions(compared.preprocessing.modality)
    probed = probe(compared, data, settings=settings, names=names)
    kept = {
        f"{name}: {encoder}": np.array(list(by_condition.values()))
        for name, by_encoder in probed.predictions.items()
        for encoder, by_condition in by_encoder.items()
    }
    np.savez_compressed(output / "predictions_robustness.npz", frames=probed.frames, labels=probed.labels, **kept)
    titles = {name: one.title for name, one in probed.probes.items()}
    _draw(probed.accuracy, names, titles, output / "robustness.png")
    return {
        "protocol": protocol(probed.probes),
        "files": ["robustness.png", "predictions_robustness.npz"],
        "table": _table(probed.accuracy, names, titles),
        "conditions": names,
        "accuracy_by_condition": probed.accuracy,
    }


@dataclasses.dataclass(frozen=True)
class Probed:
    """What probes of clean training features say of the test split under conditions.

    Attributes:
        probes: the `classifiers.Probe` by name, `knn` and `linear`.
        frames: names of the M test frames.
        labels: int64 [M].
        predictions: int64 [M] by probe, encoder and condition.
        accuracy: a `scores.summarise` by probe, encoder and condition.
    """

    probes: dict
    frames: np.ndarray
    labels: np.ndarray
    predictions: dict
    accuracy: dict


def probe(compared, data, *, settings, names):
    """Fits kNN and the linear probe on clean training features, and classifies the test split under each condition.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        settings: a `knn.KNN`; k is capped at the size of the training split.
        names: of `corruptions.CONDITIONS`, `clean` among them.

    Returns:
        A `Probed`.

    Raises:
        UserError: a sample has no label.
    """
    train = data.features(compared, data.train)
    test = {name: data.features(compared, data.test, name) for name in names}
    first = compared.names[0]
    for split, features in ((data.train, train), (data.test, test["clean"])):
        scores.require_labels(features[first].labels, f"split {split} of {data.dataset.path}")
    labels, num_classes = test["clean"][first].labels, len(data.dataset.classes)
    k = min(settings.knn_k, len(train[first].labels))
    probes = classifiers.available(k, settings.knn_temperature, num_classes)
    predictions = {
        name: {
            encoder: _predict(one, train[encoder], {seen: test[seen][encoder] for seen in names})
            for encoder in compared.names
        }
        for name, one in probes.items()
    }
    accuracy = {
        name: {
            encoder: {seen: scores.summarise(labels, row, num_classes) for seen, row in by_condition.items()}
            for encoder, by_condition in by_encoder.items()
        }
        for name, by_encoder in predictions.items()
    }
    return Probed(probes, test["clean"][first].frames, labels, predictions, accuracy)


def conditions(modality):
    """The names of `corruptions.CONDITIONS` that an encoder of a modality can see, `clean` the first."""
    of_depth = set(corruptions.OF_DEPTH)
    unseen = {"rgb": of_depth, "hha": set(corruptions.CONDITIONS) - of_depth - {"clean"}, "rgbd": set()}[modality]
    return [name for name in corruptions.CONDITIONS if name not in unseen]


def _predict(probe, train, tests):
    """int64 [M] by condition; all conditions at once, as each call fits the linear probe again."""
    queries = np.concatenate([test.embeddings for test in tests.values()])
    predicted = np.split(probe.classify(train.embeddings, train.labels, queries), len(tests))
    return dict(zip(tests, predicted, strict=True))


def protocol(probes):
    """How `probe` measures, in one line.

    Args:
        probes: `Probed.probes`.
    """
    means = "; ".join(f"{name}: {one.protocol}" for name, one in probes.items())
    return (
        f"test frames changed at their own resolution, before HHA, by draws of seed 0; training frames clean; {means}"
    )


def _table(found, names, titles):
    columns = [(probe, encoder) for probe in found for encoder in found[probe]]
    rows = [["top-1 accuracy, %", *(f"{titles[probe]}, {encoder}" for probe, encoder in columns)]]
    for name in names:
        rows.append([name, *(f"{100 * found[probe][encoder][name]['top1']:.1f}" for probe, encoder in columns)])
    return rows


def _draw(found, names, titles, path):
    seen = {label: sweep for label, sweep in _SWEEPS.items() if set(sweep.values()) <= set(names)}
    figure, places = figures.panels(len(seen), width=3.6)
    for axes, (label, sweep) in zip(places, seen.items(), strict=True):
        colourless = label.startswith("hue")
        for probe, by_encoder in found.items():
            for (encoder, by_name), colour in zip(by_encoder.items(), figures.COLOURS, strict=False):
                points = dict(sweep)
                _line(axes, points, by_name, _STYLES[probe], colour, f"{titles[probe]}, {encoder}")
                if colourless:
                    _line(axes, {240: _COLOURLESS}, by_name, _STYLES[probe][0], colour, None)
        axes.set_xticks([*sweep, 240] if colourless else list(sweep), [*sweep, "no\ncolour"] if colourless else None)
        axes.set(xlabel=label, ylim=(0, 100))
    places[0].set_ylabel("top-1 accuracy, %; bars: 95 % interval")
    figure.legend(*places[0].get_legend_handles_labels(), fontsize=8, loc="outside upper center", ncols=2)
    figure.savefig(path)


def _line(axes, points, by_name, style, colour, label):
    values = [by_name[name] for name in points.values()]
    middle = np.array([100 * value["top1"] for value in values])
    bars = np.abs([[100 * bound for bound in value["interval"]] for value in values] - middle[:, None]).T
    axes.errorbar(list(points), middle, bars, fmt=style, markersize=4, linewidth=1.4, color=colour, label=label)
