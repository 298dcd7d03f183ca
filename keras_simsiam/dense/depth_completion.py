"""Training of `keras_simsiam.depth.completion`: real holes punched into complete windows of depth."""

import dataclasses

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import completion, holes

WINDOW = 80  # pixels a side
_HOLE_SHARE = (0.05, 0.5)  # of a window, of holes that are punched
_BATCH = 16
_RATE = 5e-4  # of Adam, by a cosine to zero; at 2e-3 its units die in some runs, and nothing is learnt
_HELD = 0.1  # of the frames, the last ones: frames of a scene follow each other
_JUDGED = 20  # batches of them
_FIRST_SHARE = -2.0  # a bias: at the start the second fill has an eighth of the result


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained completion.

    Attributes:
        weights: arrays as `completion.correct` takes them.
        errors: mean absolute error of log depth over punched pixels of frames not learnt from, by fill.
    """

    weights: list[np.ndarray]
    errors: dict[str, float]


def train(frames, masks, *, steps, seed, source=""):
    """Learn to complete depth.

    A step draws 16 windows of 80×80 pixels which miss nothing, and a hole for each from another frame; both are mirrored
    half of the time. The loss is the mean absolute error of the logarithm of depth over punched pixels.

    Args:
        frames: pairs of depth float32 [H,W], metres, and rgb uint8 [H,W,3].
        masks: depth of the frames whose holes are punched, float32 [H,W].
        steps: of Adam.
        seed: of the weights and of all draws.
        source: what the frames are of, for messages.

    Returns:
        A `Trained`.

    Raises:
        UserError: no window is complete, or none has a hole of 5 to 50 %.
    """
    whole = [(frame, found) for frame in frames if len(found := _windows(frame[0], 0, 0))]
    holed = [(mask, found) for mask in masks if len(found := _windows(mask, *_HOLE_SHARE))]
    if len(whole) < 2:
        raise UserError(f"{source} has no windows of {WINDOW}×{WINDOW} pixels that miss no depth: give other frames")
    if not holed:
        raise UserError(
            f"no window of {WINDOW}×{WINDOW} pixels misses 5 to 50 % of its depth, none can be punched into others: give a "
            "`holes_dir` of such frames"
        )
    cut = len(whole) - max(1, round(len(whole) * _HELD))
    variables = [tf.Variable(each) for each in _initial(np.random.default_rng(seed))]
    step = _step(variables, steps)
    for batch in _batches(whole[:cut], holed, seed).take(steps):
        step(*batch)
    return Trained(
        [each.numpy() for each in variables], _judge(variables, _batches(whole[cut:], holed, seed + 1).take(_JUDGED))
    )


def _windows(depth, least, most):
    """Corners [N,2] of the windows, every fourth pixel, of which a share of `least` to `most` is missing."""
    missing = np.pad((depth == 0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    if min(depth.shape) < WINDOW:
        return np.empty([0, 2], int)
    size = WINDOW
    counts = missing[size:, size:] - missing[:-size, size:] - missing[size:, :-size] + missing[:-size, :-size]
    counts = counts[::4, ::4]
    return 4 * np.argwhere((counts >= least * size**2) & (counts <= most * size**2))


def _initial(random):
    """He's normal initialisation; the last convolution starts at zero, so that the first result is a mixture of the fills."""
    shapes = completion.shapes()
    weights = [
        random.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape) if len(shape) > 1 else np.zeros(shape)
        for shape in shapes
    ]
    weights[-2][:] = 0
    weights[-1][0] = _FIRST_SHARE
    return [each.astype(np.float32) for each in weights]


def _batches(whole, holed, seed):
    """A tf.data.Dataset without end of (truth, hole, rgb, starts), B windows each."""
    random = np.random.default_rng(seed)

    def drawn(pool):
        chosen, corners = pool[random.integers(len(pool))]
        y, x = corners[random.integers(len(corners))]
        mirrored = slice(None, None, -1 if random.random() < 0.5 else 1)
        return chosen, lambda image: image[y : y + WINDOW, x : x + WINDOW][:, mirrored]

    def draw():
        while True:
            (depth, rgb), cut = drawn(whole)
            mask, cut_mask = drawn(holed)
            yield cut(depth), cut_mask(mask) == 0, cut(rgb)

    def with_starts(depth, hole, rgb):
        punched = tf.where(hole, 0.0, depth)
        return depth, hole, tf.cast(rgb, tf.float32) / 255, (holes.guided(punched, rgb), holes.inpaint(punched))

    side = [WINDOW, WINDOW]
    kinds = (tf.TensorSpec(side), tf.TensorSpec(side, tf.bool), tf.TensorSpec([*side, 3], tf.uint8))
    windows = tf.data.Dataset.from_generator(draw, output_signature=kinds)
    return windows.batch(_BATCH).map(with_starts, tf.data.AUTOTUNE, deterministic=True).prefetch(4)


def _error(found, truth, hole):
    """Mean absolute error of log depth over the holes' pixels."""
    error = tf.where(hole, tf.abs(tf.math.log(found) - tf.math.log(truth)), 0.0)
    return tf.reduce_sum(error) / tf.reduce_sum(tf.cast(hole, tf.float32))


def _step(variables, steps):
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, steps))
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(truth, hole, rgb, starts):
        with tf.GradientTape() as tape:
            loss = _error(completion.correct(starts, rgb, ~hole, variables), truth, hole)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def _judge(weights, batches):
    errors = [
        {
            "guided": _error(starts[0], truth, hole),
            "inpaint": _error(starts[1], truth, hole),
            "learned": _error(completion.correct(starts, rgb, ~hole, weights), truth, hole),
        }
        for truth, hole, rgb, starts in batches
    ]
    return {name: float(np.mean([each[name] for each in errors])) for name in errors[0]}
