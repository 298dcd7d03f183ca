"""Is depth in metres?"""

import numpy as np

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding, listed, pictures

# Metres. Beyond the outer two no depth camera measures; the first is also where keras_simsiam.depth refuses a frame. The
# inner two are where a Kinect's, PrimeSense's or RealSense's frames have their median indoors.
NEAREST, FARTHEST = 0.05, 50.0
TYPICAL = (0.3, 8.0)


def check(samples: list[dict]) -> Finding:
    """The median depth of each frame, metres, against what depth cameras measure.

    Wrong: the median over the frames is below 5 cm, or a frame's is beyond 50 m. Look: a frame's is below 5 cm, or the
    median over the frames outside of 0.3 to 8 m.
    """
    frames = [(s["frame"], float(np.median(s["depth"][s["depth"] > 0]))) for s in samples if (s["depth"] > 0).any()]
    medians = np.array([median for _, median in frames])
    if not len(medians):
        return _finding(WRONG, "no depth", "No frame of the sample has any depth.", _WITHOUT, medians)
    middle = float(np.median(medians))
    number = f"median {middle:.3g} m (frames: {medians.min():.3g} to {medians.max():.3g} m)"
    if middle < NEAREST or medians.max() > FARTHEST:
        far = [name for name, median in frames if not NEAREST <= median <= FARTHEST]
        meaning = f"No depth camera measures this: {listed(far)}. Depth is not in metres there."
        return _finding(WRONG, number, meaning, _remedy(medians), medians)
    if medians.min() < NEAREST or not TYPICAL[0] <= middle <= TYPICAL[1]:
        meaning = "Unusual for a Kinect, PrimeSense or RealSense indoors, most frames of which lie between 0.3 and 8 m."
        return _finding(LOOK, number, meaning, "Compare one distance that you know with its depth.", medians)
    return _finding(OK, number, "Frames lie where depth cameras measure indoors.", "", medians)


_WITHOUT = "See whether the source writes depth images that are all zero."


def factor(median: float) -> float:
    """What a frame of that median depth must be divided by to be metres: a power of ten, 1 where it is possible."""
    return 1.0 if NEAREST <= median <= FARTHEST else 10.0 ** round(np.log10(median / 1.5))


def _remedy(medians):
    worst = medians[np.argmax(np.abs(np.log(medians)))]
    return (
        f"Build the data set again with units_per_metre {factor(worst):g} times what it is now, if what you see is about "
        f"{worst / factor(worst):.2g} m away."
    )


def _finding(severity, number, meaning, remedy, medians):
    figure, (axes,) = pictures.panels(1, height=2.4)
    low, high = (min(medians.min(), 0.03), max(medians.max(), 80)) if len(medians) else (0.03, 80)
    axes.axvspan(*TYPICAL, color="#d8ead2")
    axes.text(np.sqrt(TYPICAL[0] * TYPICAL[1]), 0.98, "usual indoors", ha="center", va="top",
              transform=axes.get_xaxis_transform(), fontsize=9)  # fmt: skip
    for limit in (NEAREST, FARTHEST):
        axes.axvline(limit, color=pictures.RED, linestyle="--")
    pictures.histogram(axes, medians, "median depth of a frame, m (red: no camera)", np.geomspace(low, high, 60))
    axes.set_xscale("log")
    alt = f"Histogram of the frames' median depth: {number}"
    return Finding("Units", severity, number, meaning, remedy, pictures.png(figure), alt)
