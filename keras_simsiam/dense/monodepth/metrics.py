"""How far predicted depth is from measured depth, where depth was measured.

Ray, section 4, has `mse`, `rel` and the three `delta`; the others are the field's: Eigen et al., Depth Map Prediction from a
Single Image using a Multi-Scale Deep Network, NIPS 2014, section 4.3 and equation 1.
"""

import numpy as np

from keras_simsiam.core.errors import UserError

NEAREST, FARTHEST = 0.001, 10.0  # metres
# name -> what it is and its unit; lower is better but for the deltas
METRICS = {
    "mse": "mean squared error, m²",
    "rel": "mean of |p − t| / t",
    "delta1": "share of pixels with max(p/t, t/p) < 1.25",
    "delta2": "the same below 1.25²",
    "delta3": "the same below 1.25³",
    "rmse": "root of mse, m",
    "log10": "mean of |log10 p − log10 t|",
    "silog": "100 · standard deviation of ln p − ln t",
}


def pooled(predictions, truths):
    """Metrics over all measured pixels of all images together, as Ray has them.

    `mse` and `rmse` take predictions as they are. The others take them clipped to 0.001..10 m: a ratio or a logarithm of a
    negative depth has no meaning, and in δ it would count as accurate.

    Args:
        predictions: float [N,H,W], metres, finite.
        truths: float [N,H,W], metres, 0 = missing, which is left out.

    Returns:
        A dict with the keys of METRICS, floats.

    Raises:
        UserError: no pixel of `truths` was measured.
        ValueError: the shapes differ, or a prediction is not finite.
    """
    measured = _measured(predictions, truths)
    if not measured.any():
        raise UserError("there is no measured depth to judge predictions by: choose another split or data set")
    return _metrics(np.asarray(predictions, np.float64)[measured], np.asarray(truths, np.float64)[measured])


def of_each(predictions, truths):
    """Metrics of each image.

    Args:
        predictions: as in `pooled`.
        truths: as in `pooled`.

    Returns:
        A dict with the keys of METRICS, float64 [N]; NaN for an image without measured depth.

    Raises:
        ValueError: as in `pooled`.
    """
    measured = _measured(predictions, truths)
    none = dict.fromkeys(METRICS, np.nan)
    rows = [
        _metrics(prediction[mask].astype(np.float64), truth[mask].astype(np.float64)) if mask.any() else none
        for prediction, truth, mask in zip(np.asarray(predictions), np.asarray(truths), measured, strict=True)
    ]
    return {name: np.array([row[name] for row in rows], np.float64) for name in METRICS}


def per_image(predictions, truths):
    """The mean of each image's metrics, as most of the field has them: an image counts the same however much was measured.

    Args:
        predictions: as in `pooled`.
        truths: as in `pooled`; an image without measured depth is left out.

    Returns:
        A dict with the keys of METRICS, floats.

    Raises:
        UserError, ValueError: as in `pooled`.
    """
    each = of_each(predictions, truths)
    if np.all(np.isnan(each["mse"])):
        raise UserError("there is no measured depth to judge predictions by: choose another split or data set")
    return {name: float(np.nanmean(values)) for name, values in each.items()}


def _measured(predictions, truths):
    if np.shape(predictions) != np.shape(truths):
        raise ValueError(f"predictions {np.shape(predictions)} and depth {np.shape(truths)} differ in shape")
    if not np.all(np.isfinite(predictions)):
        raise ValueError("a predicted depth is not finite")
    return np.asarray(truths) > 0


def _metrics(prediction, truth):
    """The metrics of measured pixels: float64 [P] each, P > 0."""
    mse = np.mean((prediction - truth) ** 2)
    clipped = np.clip(prediction, NEAREST, FARTHEST)
    logs = np.log(clipped) - np.log(truth)
    ratio = np.maximum(clipped / truth, truth / clipped)
    values = {
        "mse": mse,
        "rel": np.mean(np.abs(clipped - truth) / truth),
        **{f"delta{power}": np.mean(ratio < 1.25**power) for power in (1, 2, 3)},
        "rmse": np.sqrt(mse),
        "log10": np.mean(np.abs(logs)) / np.log(10),
        "silog": 100 * np.std(logs),
    }
    return {name: float(value) for name, value in values.items()}
