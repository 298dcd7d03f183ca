"""How much depth is missing, and where?"""

import cv2
import numpy as np

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding, listed, pictures

MOSTLY_MISSING = 0.5  # of a frame's pixels, in the median over the frames
EMPTY_FRAMES = 0.05  # share of the frames without any depth
BAND = 0.25  # of the width or height, without depth along the border
_MAP = (64, 48)


def check(samples: list[dict]) -> Finding:
    """The share of missing depth, and the bands along the border that have none.

    Wrong: more than 5 % of the frames have no depth at all. Look: any has none; half of the median frame or more is
    missing; or a band along the border wider than a quarter of the image.
    """
    shares = np.array([np.mean(sample["depth"] <= 0) for sample in samples])
    empty = [sample["frame"] for sample, share in zip(samples, shares, strict=True) if share == 1]
    bands = np.median([_bands(sample["depth"]) for sample in samples], axis=0)
    sides = ", ".join(f"{side} {100 * band:.0f} %" for side, band in zip(_SIDES, bands, strict=True) if band >= 0.005)
    number = f"{100 * np.median(shares):.1f} % missing (frames: {100 * shares.min():.1f} to {100 * shares.max():.1f} %)"
    number += f"; empty border: {sides}" if sides else ""
    alt = f"Histogram of missing depth by frame, and a map of where it is missing: {number}"
    severity, meaning, remedy = _judge(shares, empty, bands)
    return Finding("Missing depth", severity, number, meaning, remedy, _picture(samples, shares), alt)


_SIDES = ("left", "right", "top", "bottom")


def _judge(shares, empty, bands):
    if empty:
        severity = WRONG if len(empty) > EMPTY_FRAMES * len(shares) else LOOK
        return severity, f"{len(empty)} frames have no depth at all: {listed(empty)}.", "Leave such frames out."
    if np.median(shares) > MOSTLY_MISSING:
        remedy = "See where (map): sunlight, glass or black surfaces, or a range that was cut too narrow. Try --holes."
        return LOOK, "Less than half of a typical frame is measured.", remedy
    if max(bands) > BAND:
        remedy = "Crop the frames, with their principal points, to what is measured, or leave it if it is meant."
        return LOOK, "A wide band along the border never has depth.", remedy
    if not shares.any():
        return OK, "Nothing is missing: these depth images were filled in, so that some of it is not measured.", ""
    return OK, "What structured light and time of flight usually leave out.", ""


def _bands(depth):
    """Shares of the width (left, right) and the height (top, bottom) along the border without any depth."""
    ends = []
    for along in (0, 1):
        filled = np.flatnonzero((depth > 0).any(axis=along))
        size = depth.shape[1 - along]
        ends += [filled[0] / size, 1 - (filled[-1] + 1) / size] if len(filled) else [0.0, 0.0]
    return ends


def _picture(samples, shares):
    figure, (left, right) = pictures.panels(2)
    pictures.histogram(left, 100 * shares, "missing, % of the frame", np.linspace(0, 100, 41))
    maps = [cv2.resize((s["depth"] <= 0).astype(np.float32), _MAP, interpolation=cv2.INTER_AREA) for s in samples]
    image = right.imshow(100 * np.mean(maps, axis=0), cmap="magma", vmin=0, vmax=100)
    right.set(xticks=[], yticks=[])
    right.set_title("where (all frames stretched to one size)", fontsize=9)
    figure.colorbar(image, ax=right, label="% of the frames")
    return pictures.png(figure)
