"""Was depth squeezed through 8 bits?"""

import numpy as np

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding, listed, pictures, units

# A Kinect (PrimeSense) has 1/8 pixel of disparity at a focal length of 575 pixels and a baseline of 7.5 cm: its levels
# lie STEP·Z² metres apart at Z metres (Khoshelham & Elberink 2012). No common sensor since is coarser.
STEP = 0.0029
EIGHT_BITS = 256
# Real Kinect frames have a ratio of 0.7 to 1.3 to that step, and steps that grow with Z² (exponent 1.5 to 2.6). Stored
# in 8 bits, over 10 m, the nearest steps are 4 to 40 times coarser, and all are alike (exponent 0 to 1).
COARSE = 3.0
EVEN_RATIO, EVEN_EXPONENT, EVEN_RANGE = 1.35, 1.2, 2.0


def check(samples: list[dict]) -> Finding:
    """Distinct depth levels of each frame, and the steps between them against the coarsest sensor's.

    A frame counts as one of 8 bits when it has at most 256 levels, and either the steps of its nearest quarter are more
    than 3 times a Kinect's, or they are more than 1.35 times so and do not grow with depth (where the greatest is twice
    the least or more). Wrong: more than half of the frames. Look: any.
    """
    measured = [(sample["frame"], *_steps(sample["depth"])) for sample in samples]
    measured = [frame for frame in measured if len(frame[1]) >= 3]
    squeezed = [frame for frame in measured if _is_squeezed(*frame[1:])]
    counts = np.array([len(levels) for _, levels, _ in measured])
    if not len(counts):
        return Finding(
            "Depth levels",
            LOOK,
            "fewer than 3 levels a frame",
            "There is next to no depth to judge.",
            "See Missing depth.",
        )
    number = f"{len(squeezed)} of {len(counts)} frames in 8 bits; median {np.median(counts):.0f} levels a frame"
    shown = [frame for frame in samples if frame["frame"] in {name for name, *_ in squeezed}][:2] or samples[:2]
    picture = _picture(shown, squeezed)
    alt = f"Steps between depth levels against depth, and the step of a Kinect for comparison: {number}"
    if not squeezed:
        return Finding("Depth levels", OK, number, "Steps are as fine as a depth sensor's.", "", picture, alt)
    meaning = (
        f"At most 256 levels, in steps of about {1000 * np.median([np.median(s) for _, _, s in squeezed]):.0f} mm, coarser "
        f"or more even than a sensor's: {listed(name for name, *_ in squeezed)}. Surface normals show terraces then."
    )
    remedy = "Fetch the original 16-bit depth: what 8 bits, a JPEG or a colour map has dropped does not come back."
    severity = WRONG if len(squeezed) > len(counts) / 2 else LOOK
    return Finding("Depth levels", severity, number, meaning, remedy, picture, alt)


def _steps(depth):
    """The distinct levels of a frame, metres (where the units are wrong, nearly so), and the steps between them."""
    measured = depth[depth > 0].astype(np.float64)
    levels = np.unique(measured / units.factor(np.median(measured)) if len(measured) else measured)
    return levels, np.diff(levels)


def _is_squeezed(levels, steps):
    if len(levels) > EIGHT_BITS:
        return False
    at = (levels[1:] + levels[:-1]) / 2
    near, far = at <= np.quantile(at, 0.25), at >= np.quantile(at, 0.75)
    ratio = np.median((steps / at**2)[near]) / STEP
    if ratio > COARSE:
        return True
    if ratio < EVEN_RATIO or levels[-1] < EVEN_RANGE * levels[0]:
        return False
    growth = np.log(np.median(steps[far]) / np.median(steps[near]))
    return growth < EVEN_EXPONENT * np.log(np.median(at[far]) / np.median(at[near]))


_TICKS = (0.25, 0.5, 1, 2, 4, 8)


def _picture(shown, squeezed):
    figure, (left, right) = pictures.panels(2)
    names = {name for name, *_ in squeezed}
    for sample in shown:
        levels, steps = _steps(sample["depth"])
        colour = pictures.RED if sample["frame"] in names else pictures.BLUE
        left.loglog(levels[1:], 1000 * steps, ".", markersize=2, color=colour, label=sample["frame"][-24:])
    z = np.geomspace(0.5, 8, 20)
    left.loglog(z, 1000 * STEP * z**2, color="0.3", label="a Kinect's step")
    left.set(xlabel="depth, m", ylabel="step to the next level, mm")
    left.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    left.minorticks_off()
    left.legend(frameon=False, fontsize=7)
    pictures.show(right, shown[0]["depth"], shown[0]["frame"][-40:], cmap="prism")
    return pictures.png(figure)
