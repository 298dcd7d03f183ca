"""Are frames there twice, and are test frames among those to train on?"""

from dataclasses import dataclass

import cv2
import numpy as np

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding, listed, pictures

# Root mean square difference of two thumbnails, in grey levels of 255. A frame stored again as JPEG (quality 75) differs
# from itself by at most 1.15, frames of different scenes by 5 or more; neighbours in a slow video by 0.7 to 7.
SAME, ALIKE = 1.25, 4.0
_SHARE = 0.01  # of a split's frames, from which on alike frames are more than the ends of two sequences
_DUPLICATES = 0.1
_GREY = 16  # pixels a side of what is compared
_FLAT = 2.0  # a deviation in grey levels below which an image shows nothing to compare
_BLOCK = 1000


@dataclass(frozen=True)
class Print:
    """What is kept of a frame to find it again.

    Attributes:
        frame, split: their names.
        digest: of its pixels; equal for equal colour images only.
        thumbnail: uint8 [48,48,3].
    """

    frame: str
    split: str
    digest: bytes
    thumbnail: np.ndarray


def duplicates(prints: list[Print]) -> Finding:
    """Frames with another of their own split that has exactly the same pixels. Look: any; wrong: a tenth or more."""
    pairs, seen = [], {}
    for index, one in enumerate(prints):
        first = seen.setdefault((one.split, one.digest), index)
        if first != index:
            pairs.append((first, index, 0.0))
    number = f"{len(pairs)} of {len(prints)} frames are copies of another in their split"
    if not pairs:
        return Finding("Duplicates", OK, number, "No two frames have the same pixels.", "")
    picture, alt = _picture(prints, pairs[:4]), f"Pairs of equal frames: {number}"
    meaning = f"The same image occurs several times: {listed(_pair(prints, pair) for pair in pairs)}."
    remedy = "Remove the copies from the source: they count more than others, in training and in every score."
    severity = WRONG if len(pairs) >= _DUPLICATES * len(prints) else LOOK
    return Finding("Duplicates", severity, number, meaning, remedy, picture, alt)


def leakage(prints: list[Print]) -> Finding:
    """Frames of one split that are in another too, by their pixels or by thumbnails that look the same.

    Two thumbnails of 16×16 grey pixels are the same where they differ by less than 1.25 levels (root mean square), alike
    where by less than 4. Wrong: equal pixels, or 1 % of a split's frames or more are the same. Look: any is the same, or
    1 % or more are alike.
    """
    splits = sorted({one.split for one in prints}, key=lambda name: (name != "train", name))
    if len(splits) < 2:
        return Finding("Leakage", OK, "one split only", "There is nothing to leak into.", "")
    matches = [match for number in range(1, len(splits)) for match in _matches(prints, splits[number], splits[:number])]
    equal = [match for match in matches if prints[match[0]].digest == prints[match[1]].digest]
    same = [match for match in matches if match[2] < SAME or match in equal]
    alike = sorted((match for match in matches if match[2] < ALIKE or match in equal), key=lambda match: match[2])
    total = sum(one.split != splits[0] for one in prints)
    nearest = min((match[2] for match in matches), default=float("nan"))
    number = (
        f"{len(equal)} equal, {len(same)} same, {len(alike)} alike of {total} frames (nearest {nearest:.1f} levels)"
    )
    shown = sorted(matches, key=lambda match: match[2])[:4]
    picture, alt = _picture(prints, shown), f"The most similar frames of two splits: {number}"
    if not same and len(alike) < _SHARE * total:
        return Finding("Leakage", OK, number, "No frame of one split is seen again in another.", "", picture, alt)
    severity = WRONG if equal or len(same) >= _SHARE * total else LOOK
    meaning = f"Scores on these frames measure memory: {listed(_pair(prints, match) for match in alike)}."
    remedy = "Split by object, scene or video, never frame by frame, and build again."
    return Finding("Leakage", severity, number, meaning, remedy, picture, alt)


def _matches(prints, split, others):
    """(index, index of its nearest in the other splits, difference) of each frame of a split."""
    grey = np.array([_grey(one.thumbnail) for one in prints])
    textured = grey.std(axis=1) >= _FLAT
    names = np.array([one.split for one in prints])
    mine, theirs = np.flatnonzero(textured & (names == split)), np.flatnonzero(textured & np.isin(names, others))
    if not len(theirs):
        return []
    squares = (grey**2).sum(axis=1)
    matches = []
    for start in range(0, len(mine), _BLOCK):
        rows = mine[start : start + _BLOCK]
        distance = squares[rows, None] + squares[theirs] - 2 * grey[rows] @ grey[theirs].T
        best = distance.argmin(axis=1)
        rms = np.sqrt(np.maximum(distance[np.arange(len(rows)), best], 0) / grey.shape[1])
        matches += [(int(i), int(j), float(d)) for i, j, d in zip(rows, theirs[best], rms, strict=True)]
    return matches


def _grey(thumbnail):
    grey = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY)
    # Around zero, so that float32 keeps the digits of the difference of squares.
    return cv2.resize(grey, (_GREY, _GREY), interpolation=cv2.INTER_AREA).astype(np.float32).ravel() - 128


def _pair(prints, pair):
    one, other = prints[pair[0]], prints[pair[1]]
    return f"{one.split} {one.frame} = {other.split} {other.frame}"


def _picture(prints, pairs):
    figure, axes = pictures.panels(max(2, 2 * len(pairs)), height=1.5)
    for ax in axes:
        ax.set_axis_off()
    for number, (one, other, difference) in enumerate(pairs):
        for ax, index in zip(axes[2 * number : 2 * number + 2], (one, other), strict=True):
            pictures.show(ax, prints[index].thumbnail, f"{prints[index].split}, {difference:.1f}")
    return pictures.png(figure)
