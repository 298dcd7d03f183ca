"""Turntable angles: what a frame's name says of them, and how far a linear map reads them off an embedding."""

import collections
import dataclasses

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_simsiam.core import frame_names

MIN_FRAMES = 8  # of a recording; fewer leave nothing to fit a turn to
MIN_COVERAGE = 0.9  # of the frames between a recording's first and last: the share that exists
FOLDS = 5
STRENGTHS = tuple(10.0**power for power in range(-2, 6))


@dataclasses.dataclass(frozen=True)
class Recording:
    """One turn of one object.

    Attributes:
        name: such as apple_1_2.
        object: such as apple_1, what recordings of one object share.
        places: int64 [n], its frames in order, as places in the data set.
        angles: float64 [n], radians in 0..2π.
    """

    name: str
    object: str
    places: np.ndarray
    angles: np.ndarray


def turns(frames):
    """The recordings of a data set with the angle of each frame, by its number: a recording is taken as one full turn.

    With frames numbered by s from a to b, frame n is at 2π·n/(b − a + s): Lai et al., ICRA 2011, section II, recorded one
    whole rotation a video at constant speed. The true angles are Washington's pose files', which the object data does not
    hold; where a turn began is not known, nor whether it closed to the frame.

    Args:
        frames: N unique names (`keras_simsiam.core.frame_names`).

    Returns:
        (recordings, left out): a list of `Recording`, by name, and the names of those that have fewer than MIN_FRAMES frames
        or lack more than a tenth of those between their first and last.
    """
    numbered = collections.defaultdict(list)
    for place, frame in enumerate(frames):
        name, number = frame_names.place(frame)
        if number is not None:
            numbered[name].append((float(number), place))
    recordings, left_out = [], []
    for name in sorted(numbered):
        numbers, places = (np.array(column) for column in zip(*sorted(numbered[name]), strict=True))
        if _is_whole(numbers):
            period = numbers[-1] - numbers[0] + np.median(np.diff(numbers))
            angles = 2 * np.pi * (numbers / period % 1)
            recordings.append(Recording(name, frame_names.place(name)[0], places.astype(np.int64), angles))
        else:
            left_out.append(name)
    return recordings, left_out


def _is_whole(numbers):
    if len(numbers) < MIN_FRAMES:
        return False
    steps = np.diff(numbers)
    return len(steps) >= MIN_COVERAGE * (numbers[-1] - numbers[0]) / np.median(steps)


def fit_predict(train, angles, queries):
    """Ridge regression of the angle's sine and cosine on standardised features.

    The strength of the ridge is the one of STRENGTHS with the least leave-one-out error on the training frames. There is no
    intercept: over a turn sine and cosine have mean 0, and of what is left when some frames are held out the mean points away
    from those, so that features of nothing would predict the opposite.

    Args:
        train: float [N,D].
        angles: float [N], radians.
        queries: float [M,D].

    Returns:
        float64 [M], radians in −π..π.
    """
    ridge = make_pipeline(StandardScaler(), RidgeCV(alphas=STRENGTHS, fit_intercept=False))
    ridge.fit(np.asarray(train, np.float64), np.stack([np.sin(angles), np.cos(angles)], axis=1))
    sine, cosine = ridge.predict(np.asarray(queries, np.float64)).T
    return np.arctan2(sine, cosine)


def difference(first, second):
    """The signed difference of two angles, the short way round: float in −π..π."""
    return (np.asarray(first) - second + np.pi) % (2 * np.pi) - np.pi


def aligned(residuals):
    """Residuals with their circular mean taken off, as where a turn began is not known: float [M] in −π..π."""
    return difference(residuals, np.angle(np.mean(np.exp(1j * np.asarray(residuals)))))


def errors(features, learnt, tested):
    """The errors of a recording's angles, predicted from another of the same object, or from the rest of itself.

    From itself: each fifth frame from the other four fifths, five times. From another: up to the one rotation that nobody
    knows, as each may have begun anywhere in the turn (`aligned`).

    Args:
        features: float [N,D], of the data set.
        learnt: the `Recording` that is learnt from.
        tested: a `Recording`, or `learnt`.

    Returns:
        float64 [n], of `tested`, radians in −π..π.
    """
    queries = features[tested.places]
    if learnt is not tested:
        return aligned(difference(fit_predict(features[learnt.places], learnt.angles, queries), tested.angles))
    predicted = np.zeros(len(queries))
    for fold in range(FOLDS):
        held = np.arange(len(queries)) % FOLDS == fold
        predicted[held] = fit_predict(queries[~held], tested.angles[~held], queries[held])
    return difference(predicted, tested.angles)


def pairs(turns):
    """What can be learnt from and tested on: a dict of lists of (learnt, tested), `within` a recording and `across` those of an
    object, which are learnt from one by one: where each began in the turn is not known."""
    across = [(one, other) for one in turns for other in turns if one.object == other.object and one is not other]
    return {"within": [(turn, turn) for turn in turns], "across": across}


def shuffled(turns, seed):
    """The recordings with each one's angles in a random order: what chance would find in them."""
    random = np.random.default_rng(seed)
    return [dataclasses.replace(turn, angles=random.permutation(turn.angles)) for turn in turns]
