"""Whether two classifiers differ on the same test frames, or tie: a paired bootstrap over blocks of neighbouring frames.

Frames of one recording resemble each other: a classifier that errs on one errs on the next, and an interval that takes them
as independent is too narrow. So what is redrawn is blocks of consecutive frames, whole: Künsch, "The jackknife and the
bootstrap for general stationary observations", Annals of Statistics 17 (1989); disjoint blocks as in Carlstein, Annals of
Statistics 14 (1986). Intervals are percentiles: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

import dataclasses

import numpy as np

from keras_simsiam.core import frame_names

RESAMPLES = 10_000
# Of five blocks or fewer even unanimity is no evidence at 5 %: a sign test gives it p = 2·2⁻⁵ = 0.06.
MIN_BLOCKS = 6


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a paired bootstrap found.

    Attributes:
        difference: accuracy of the first classifier minus that of the second, in −1..1.
        interval: (low, high), 95 %; (−1, 1) where there are fewer than MIN_BLOCKS blocks.
        blocks: how many blocks of frames there were.
    """

    difference: float
    interval: tuple[float, float]
    blocks: int

    @property
    def verdict(self):
        """`differs` where the interval leaves out 0, else `tie`."""
        return "differs" if self.interval[0] > 0 or self.interval[1] < 0 else "tie"


def compare(first, second, blocks, seed=0):
    """The paired bootstrap of an accuracy's difference.

    Each resample draws as many blocks as there are, with replacement and the same for both, and of each classifier as many
    runs as it has, so that a difference is weighed against what seeds do too. With a few runs the interval is still somewhat
    narrow, as it is with a few blocks: n draws of n vary by (n − 1)/n of the variance.

    Args:
        first: bool [S,N], whether each of S runs (seeds) of the first classifier was right on each of N frames.
        second: bool [T,N], the same of the second.
        blocks: [N] of any values; frames that share one are drawn together (`neighbours`).
        seed: of the resamples.

    Returns:
        A `Comparison`.

    Raises:
        ValueError: there are no frames or no runs, or the shapes do not fit.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or first.shape[1:] != second.shape[1:] or len(blocks) != first.shape[1]:
        raise ValueError(f"expected [S,N], [T,N] and N blocks: got {first.shape}, {second.shape}, {len(blocks)}")
    if not first.size or not second.size:
        raise ValueError("there is nothing to compare: no frames or no runs")
    difference = float(first.mean() - second.mean())
    names, index = np.unique(np.asarray(blocks), return_inverse=True)
    if len(names) < MIN_BLOCKS:
        return Comparison(difference, (-1.0, 1.0), len(names))
    random = np.random.default_rng(seed)
    draws = _draws(random, len(names))
    correct = _drawn(random, _by_block(first, index), draws) - _drawn(random, _by_block(second, index), draws)
    differences = correct / (draws @ np.bincount(index))
    low, high = np.quantile(differences, [0.025, 0.975])
    return Comparison(difference, (float(low), float(high)), len(names))


def _draws(random, count):
    """How often each of `count` things is drawn when `count` are drawn with replacement: int [RESAMPLES,count]."""
    return random.multinomial(count, np.full(count, 1 / count), RESAMPLES)


def _by_block(correct, index):
    """Sum over the frames of each block: [S,N] to [S,B]."""
    return np.stack([np.bincount(index, row) for row in correct])


def _drawn(random, correct, draws):
    """The number of right frames of each resample's blocks, the mean over its runs: [RESAMPLES]."""
    runs = _draws(random, len(correct)) / len(correct)
    return np.einsum("rs,sb,rb->r", runs, correct, draws, optimize=True)


def neighbours(frames, length):
    """Cut recordings into blocks of consecutive frames.

    Args:
        frames: N unique names in any order (`keras_simsiam.core.frame_names`); one without a number is its own recording.
        length: frames in a block, ≥ 1; a recording's last block may be shorter.

    Returns:
        int64 [N], the number of each frame's block.
    """
    parsed = [frame_names.place(frame) for frame in frames]
    blocks, known = np.zeros(len(parsed), np.int64), {}
    seen = {}
    for position in sorted(range(len(parsed)), key=lambda position: (parsed[position][0], parsed[position][1] or 0)):
        recording = parsed[position][0]
        place = seen[recording] = seen.get(recording, -1) + 1
        blocks[position] = known.setdefault((recording, place // length), len(known))
    return blocks
