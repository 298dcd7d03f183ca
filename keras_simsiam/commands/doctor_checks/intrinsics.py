"""Can these intrinsics belong to images of this size?"""

from collections import defaultdict

import numpy as np

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding, pictures

# The principal points of the Kinects, PrimeSense and TUM cameras lie within 0.035 of the middle (in widths and heights);
# a quarter is what the intrinsics of half or of double the resolution are off by.
OFF_CENTRE, FAR_OFF = 0.08, 0.2
FIELD_OF_VIEW = (40.0, 90.0)  # degrees, horizontal: 57 a Kinect, 70 a Kinect v2, 87 the widest RealSense
_POSSIBLE = (15.0, 120.0)
_SQUARE = 0.05  # pixels are taller than wide, or the reverse, only where an image was stretched
_SAME = 2.0  # pixels between principal points, above which frames of one size are crops


def check(samples: list[dict]) -> Finding:
    """Principal point and horizontal field of view of each image size, and whether pixels are square.

    Frames of one size whose principal points differ are crops, each from its own place: their principal points may lie
    anywhere, and only the angle that all of them together cover is judged. Wrong: the principal point of uncropped
    frames is 0.2 of the width or height off the middle, a field of view is beyond 15 to 120°, or a number is impossible.
    Look: 0.08 off, beyond 40 to 90°, or fx and fy differ by more than 5 %.
    """
    cameras = [(s["rgb"].shape[1], s["rgb"].shape[0], *map(float, s["intrinsics"])) for s in samples]
    groups = _groups(np.array(cameras))
    findings = [_judge(*group) for group in groups]
    severity = max((finding[0] for finding in findings), key=(OK, LOOK, WRONG).index)
    worst = next(finding for finding in findings if finding[0] == severity)
    number = "; ".join(finding[1] for finding in findings[:3]) + (" …" if len(findings) > 3 else "")
    alt = f"Principal points in the image, as shares of its width and height: {number}"
    return Finding("Intrinsics", severity, number, *worst[2:], _picture(groups), alt)


def _groups(cameras):
    """Frames of one size and nearly one camera together, and all crops together: (rows [N,6], whether crops)."""
    sizes = defaultdict(list)
    for row in cameras:
        sizes[tuple(row[:2])].append(row)
    whole, crops = [], []
    for rows in map(np.array, sizes.values()):
        # where sizes are as many as this they are those of crops, even if each occurs once
        cropped = len(sizes) > min(8, max(1, len(cameras) / 3)) or np.ptp(rows[:, 4:], axis=0).max() > _SAME
        (crops if cropped else whole).append(rows)
    return [(rows, False) for rows in whole] + ([(np.concatenate(crops), True)] if crops else [])


def _judge(rows, crops):
    """Severity, number, meaning and remedy for one group."""
    width, height, fx, fy, cx, cy = rows.T
    if not np.isfinite(rows).all() or min(fx.min(), fy.min()) <= 0:
        return WRONG, "impossible numbers", "A focal length is not positive, or a number not finite.", _CALIBRATE
    left, right = np.max(cx + 0.5), np.max(width - 0.5 - cx)
    degrees = float(np.degrees(np.arctan(left / fx[0]) + np.arctan(right / fx[0])))
    off = np.median([(cx + 0.5) / width - 0.5, (cy + 0.5) / height - 0.5], axis=1)
    middle = "crops" if crops else f"centre {100 * off[0] + 50:.0f}, {100 * off[1] + 50:.0f} % of width, height"
    size = f"{len(rows)} frames" if crops else f"{width[0]:.0f}×{height[0]:.0f}"
    number = f"{size}: {degrees:.0f}° wide, {middle}"
    # crops of a small part of the image may cover any small angle
    angle = max(degrees, FIELD_OF_VIEW[0]) if crops else degrees
    severity = _severity(0 if crops else np.abs(off).max(), angle, np.abs(fx / fy - 1).max())
    if severity == OK:
        meaning = (
            "They fit together." if crops else "The principal point lies near the middle, the angle is a camera's."
        )
        return OK, number, meaning, ""
    return severity, number, *_explain(off, degrees, crops, width[0], height[0])


def _severity(off, degrees, stretch):
    if off >= FAR_OFF or not _POSSIBLE[0] <= degrees <= _POSSIBLE[1]:
        return WRONG
    if off >= OFF_CENTRE or not FIELD_OF_VIEW[0] <= degrees <= FIELD_OF_VIEW[1] or stretch > _SQUARE:
        return LOOK
    return OK


_CALIBRATE = "Give the camera of these very images: pixels of this resolution, zero-based centres."


def _explain(off, degrees, crops, width, height):
    centre = off + 0.5
    factor = 0.5 / centre.mean()
    if not crops and np.ptp(centre) < 0.1 and not 0.8 < factor < 1.25:
        meaning = f"These are the intrinsics of images of {width / factor:.0f}×{height / factor:.0f} pixels."
        return (
            meaning,
            f"Multiply fx and fy by {factor:.2g}, and c by c → (c + ½)·{factor:.2g} − ½, or rebuild with them.",
        )
    if not crops and np.abs(off).max() >= OFF_CENTRE:
        return "The principal point is far from the middle. A crop that did not move it looks so.", (
            "If these are crops, subtract their corner from cx and cy. " + _CALIBRATE
        )
    return f"A horizontal field of view of {degrees:.0f}° or pixels that are not square are rare.", _CALIBRATE


def _picture(groups):
    figure, (axes,) = pictures.panels(1, height=3.0, width=5.0)
    axes.add_patch(pictures.rectangle())
    for rows, crops in groups[:6]:
        label = "crops" if crops else f"{rows[0, 0]:.0f}×{rows[0, 1]:.0f}"
        axes.plot((rows[:, 4] + 0.5) / rows[:, 0], (rows[:, 5] + 0.5) / rows[:, 1], "x", markersize=6, label=label)
    axes.plot(0.5, 0.5, "+", color="0.3", markersize=14)
    axes.set(xlabel="principal point, share of the width", ylabel="of the height")
    axes.set_xlim(min(-0.1, axes.get_xlim()[0]), max(1.1, axes.get_xlim()[1]))
    axes.set_ylim(max(1.1, axes.get_ylim()[1]), min(-0.1, axes.get_ylim()[0]))
    axes.legend(frameon=False, fontsize=8)
    return pictures.png(figure)
