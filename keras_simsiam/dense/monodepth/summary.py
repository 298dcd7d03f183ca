"""What is said of the predictions of several trials: metrics, their spread, their uncertainty, and whether two differ."""

import numpy as np

from keras_simsiam.dense.monodepth import metrics
from keras_simsiam.probes import bootstrap

# Consecutive frames that are drawn together: they show much the same.
BLOCK = 10


def summarise(predicted, crops):
    """The metrics of several trials.

    Args:
        predicted: float [T,N,S,S], metres: each trial's predictions.
        crops: the `frames.Crops` that they are of.

    Returns:
        A dict that JSON can hold: `pooled` and `per_image`, each a dict from a metric (`metrics.METRICS`) to a list of T
        floats; `interval`, from a metric to the 95 % interval (low, high) of its mean over images and trials, by a bootstrap
        over blocks of BLOCK consecutive frames and over trials; None of fewer than `bootstrap.MIN_BLOCKS` blocks.

    Raises:
        UserError: no depth was measured.
    """
    pooled = [metrics.pooled(depth, crops.depth) for depth in predicted]
    images = [metrics.per_image(depth, crops.depth) for depth in predicted]
    each, blocks = _of_measured(predicted, crops)
    against_zero = {
        name: bootstrap.compare(values, np.zeros((1, values.shape[1])), blocks) for name, values in each.items()
    }
    return {
        "pooled": {name: [trial[name] for trial in pooled] for name in metrics.METRICS},
        "per_image": {name: [trial[name] for trial in images] for name in metrics.METRICS},
        "interval": {name: _known(comparison) for name, comparison in against_zero.items()},
    }


def difference(predicted, others, crops, metric):
    """How two configurations differ on the same frames, in the mean of a metric over images and trials.

    Args:
        predicted: float [T,N,S,S], metres.
        others: float [U,N,S,S], metres.
        crops: the `frames.Crops` that they are of.
        metric: a name of METRICS.

    Returns:
        A dict that JSON can hold: `difference`, its 95 % `interval` (None of too few blocks) and the `verdict`, `differs` or
        `tie` (keras_simsiam.probes.bootstrap).
    """
    first, blocks = _of_measured(predicted, crops)
    second, _ = _of_measured(others, crops)
    comparison = bootstrap.compare(first[metric], second[metric], blocks)
    return {"difference": comparison.difference, "interval": _known(comparison), "verdict": comparison.verdict}


def table(configurations, baselines):
    """The rows that are printed: each configuration's metrics over all pixels, then over images.

    Args:
        configurations: a dict from a name to what `summarise` gives, with `against`: by the name of what it is compared with
            what `difference` gives of rel.
        baselines: a dict from a name to what `summarise` gives of predictions that took no encoder.

    Returns:
        Rows of strings, the header first.
    """
    others = list(dict.fromkeys(other for results in configurations.values() for other in results["against"]))
    rows = [["test depth", "mean over", *metrics.METRICS, *(f"rel against {other}" for other in others)]]
    for name, results in (configurations | baselines).items():
        against = results.get("against", {})
        compared = [_compared(against[other]) if other in against else "" for other in others]
        rows.append(
            [name, "pixels", *(_cell(results["pooled"][metric]) for metric in metrics.METRICS), *[""] * len(others)]
        )
        rows.append([name, "images", *(_cell(results["per_image"][metric]) for metric in metrics.METRICS), *compared])
    return rows


def _cell(values):
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def _compared(comparison):
    interval = "" if comparison["interval"] is None else " [{:+.3f}, {:+.3f}]".format(*comparison["interval"])
    return f"{comparison['difference']:+.3f}{interval} {comparison['verdict']}"


def _of_measured(predicted, crops):
    """Each metric [T,M] of the M images with measured depth, and the images' blocks [M]."""
    trials = [metrics.of_each(depth, crops.depth) for depth in predicted]
    measured = ~np.isnan(trials[0]["mse"])
    each = {name: np.stack([trial[name][measured] for trial in trials]) for name in metrics.METRICS}
    return each, bootstrap.neighbours(crops.frames[measured], BLOCK)


def _known(comparison):
    return list(comparison.interval) if comparison.blocks >= bootstrap.MIN_BLOCKS else None
