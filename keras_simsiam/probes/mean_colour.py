"""The mean colour of what is in the middle of a frame, and how far a linear map reads it off an embedding; without labels."""

import numpy as np
import tensorflow as tf
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

STRENGTHS = tuple(10.0**power for power in range(-2, 6))
PROTOCOL = (
    "the mean red, green and blue of the middle half of a frame's centre square, of the pixels there whose depth was measured "
    "where some were, by ridge regression on standardised frozen pooled features of the split train, the strength by "
    "leave-one-out; R² on the split test, mean of the three, 0 for the mean of the split test and below for worse"
)


def of_sample(sample):
    """The mean colour of the middle half of a sample's centre square, half as high and half as wide.

    Args:
        sample: a Sample; with `depth`, pixels that were not measured are left out, as long as some were.

    Returns:
        float32 [3], red, green and blue in 0..1.
    """
    rgb = tf.cast(sample["rgb"], tf.float32) / 255
    size = tf.shape(rgb)[:2]
    side = tf.maximum(tf.reduce_min(size) // 2, 1)
    top, left = tf.unstack((size - side) // 2)
    middle = rgb[top : top + side, left : left + side]
    weights = tf.ones_like(middle[..., :1])
    if "depth" in sample:
        measured = tf.cast(sample["depth"][top : top + side, left : left + side] > 0, tf.float32)[..., tf.newaxis]
        weights = tf.where(tf.reduce_any(measured > 0), measured, weights)
    return tf.reduce_sum(weights * middle, [0, 1]) / tf.reduce_sum(weights)


def of_samples(samples):
    """`of_sample` of a tf.data.Dataset of Samples, in their order: float32 [N,3]."""
    each = samples.map(of_sample, tf.data.AUTOTUNE, deterministic=True)
    return np.array(list(each.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()), np.float32)


def score(train, train_colours, test, test_colours):
    """R² of the test colours, as ridge regression predicts them from standardised features.

    Args:
        train, test: float [N,D], [M,D], features.
        train_colours, test_colours: float [N,3], [M,3].

    Returns:
        A float, the mean over the three channels: at most 1, 0 for predicting the mean of the test colours, below for worse.
    """
    ridge = make_pipeline(StandardScaler(), RidgeCV(alphas=STRENGTHS))
    ridge.fit(np.asarray(train, np.float64), train_colours)
    return float(r2_score(test_colours, ridge.predict(np.asarray(test, np.float64))))
