"""Does depth end where the sensor or its 16 bits end?"""

import numpy as np

from keras_simsiam.commands.doctor_checks import LOOK, OK, Finding, listed, pictures

# A pile: a frame's greatest depth holds at least this share of its measured pixels, and as many as so many average
# levels. A real wall at the far end of a clean frame has 1.5 times the average level at most (Washington, OSD, TUM).
PILE_SHARE, PILE_LEVELS = 0.002, 20
_FRAMES = 0.1  # share of the frames from which on a person is asked


def check(samples: list[dict]) -> Finding:
    """5 %, median and 95 % of the depth, metres, and piles of pixels at a frame's greatest depth.

    Look: a tenth of the frames or more have such a pile, which is how saturation or a clipped range looks.
    """
    samples = [sample for sample in samples if (sample["depth"] > 0).any()]
    piled = [sample for sample in samples if _pile(sample["depth"]) is not None]
    pixels = np.concatenate([_thinned(sample["depth"]) for sample in samples]) if samples else np.zeros(0)
    if not len(pixels):
        return Finding("Depth range", LOOK, "no depth", "No frame has depth.", "See Units.")
    low, middle, high = np.percentile(pixels, [5, 50, 95])
    number = f"{low:.2f} to {high:.2f} m (5 to 95 % of the pixels), median {middle:.2f} m"
    alt = f"Histogram of depth: {number}"
    if len(piled) < max(1, _FRAMES * len(samples)):
        meaning = "There is no pile of pixels at the far end."
        return Finding("Depth range", OK, number, meaning, "", _picture(pixels, []), alt)
    ends = [_pile(sample["depth"]) for sample in piled]
    meaning = (
        f"{len(piled)} of {len(samples)} frames have a pile of pixels at exactly their greatest depth (median "
        f"{np.median(ends):.3f} m): {listed(sample['frame'] for sample in piled)}. Saturated or clipped values look so."
    )
    remedy = "Set those values to 0 (missing) before building: as depth they are a wall that does not exist."
    return Finding("Depth range", LOOK, f"{number}; pile at {np.median(ends):.3f} m", meaning, remedy,
                   _picture(pixels, ends), alt)  # fmt: skip


def _pile(depth):
    """The greatest depth, metres, where it holds a pile of pixels; else None."""
    levels, counts = np.unique(depth[depth > 0], return_counts=True)
    share = counts[-1] / counts.sum()
    return float(levels[-1]) if share >= PILE_SHARE and share * len(levels) >= PILE_LEVELS else None


def _thinned(depth):
    measured = depth[depth > 0]
    return measured[:: max(1, len(measured) // 5000)]


def _picture(pixels, ends):
    figure, (axes,) = pictures.panels(1, height=2.4)
    axes.hist(pixels, bins=120, color=pictures.BLUE, weights=np.full(len(pixels), 100 / max(len(pixels), 1)))
    for end in sorted(set(np.round(ends, 3)))[:5]:
        axes.axvline(end, color=pictures.RED, linestyle="--")
    axes.set(xlabel="depth, m (red: piles)", ylabel="% of the measured pixels")
    axes.spines[["top", "right"]].set_visible(False)
    return pictures.png(figure)
