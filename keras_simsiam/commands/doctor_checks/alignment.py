"""Does depth lie on colour?"""

import cv2
import numpy as np

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding, pictures

REACH = 16  # pixels that depth is shifted at most
# Pixels. Registered real frames and synthetic ones come out at 0 or 1; TUM's hand-held freiburg1, whose colour and depth
# are 15 ms apart, at 3.6.
SHIFTED, FAR = 3.0, 6.0
# A shift is sure when so many resamplings of the frames agree to a pixel, the edges correlate at least so much there,
# and at no shift by less than this share of it.
_AGREEING, _CORRELATED, _AT_ZERO = 0.95, 0.08, 0.85
_RESAMPLINGS, _LEAST_FRAMES = 200, 4


def check(samples: list[dict]) -> Finding:
    """The shift between the edges of depth and those of colour: where they correlate most, within 16 pixels.

    The frames' correlations are averaged; redrawing the frames, with replacement, 200 times says how sure the best
    shift is. Wrong: surely 6 pixels or more. Look: surely 3 or more. An unsure shift is no finding.
    """
    maps = np.array([correlation(sample["rgb"], sample["depth"]) for sample in samples])
    mean = maps.mean(axis=0)
    x, y = _best(mean)
    agreeing = _agreeing(maps, (x, y))
    length, peak, at_zero = float(np.hypot(x, y)), mean.max(), mean[REACH, REACH]
    sure = len(maps) >= _LEAST_FRAMES and agreeing >= _AGREEING and peak >= _CORRELATED
    number = f"best shift {x:+d}, {y:+d} px (right, down), correlation {peak:.2f}"
    number += f", {100 * agreeing:.0f} % sure" if len(maps) >= _LEAST_FRAMES else ""
    picture = _picture(samples, maps, mean, (x, y))
    alt = f"Edges of depth drawn over colour, and the correlation for every shift: {number}"
    if not sure:
        meaning = "Too few frames, or too few edges that depth and colour share, to tell."
        number = f"cannot tell ({number})"
        return Finding("Colour and depth", OK, number, meaning, "", picture, alt)
    if length < SHIFTED or at_zero > _AT_ZERO * peak:
        return Finding("Colour and depth", OK, number, "Depth edges lie on colour edges.", "", picture, alt)
    meaning = f"Colour fits depth best when depth is moved by {x:+d} px (right) and {y:+d} px (down)."
    remedy = "Register depth to the colour camera with its calibration, and pair frames by their nearest timestamps."
    severity = WRONG if length >= FAR else LOOK
    return Finding("Colour and depth", severity, number, meaning, remedy, picture, alt)


def correlation(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Correlation between the edges of colour and those of depth moved by (x, y): [y + REACH, x + REACH].

    Args:
        rgb: uint8 [H,W,3].
        depth: float32 [H,W], metres, 0 = missing.

    Returns:
        float32 [2·REACH + 1, 2·REACH + 1]; shifts beyond a fifth of the image's shorter side are 0.
    """
    reach = min(REACH, min(depth.shape) // 5)
    # One size of edge for all: the finest are noise, and the strongest alone must not decide.
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1).astype(np.float32)
    colour = cv2.copyMakeBorder(_normalised(_edges(grey)), *[reach] * 4, cv2.BORDER_CONSTANT, value=0)
    moved = cv2.matchTemplate(colour, _normalised(depth_edges(depth)), cv2.TM_CCORR) / depth.size
    return np.pad(moved, REACH - reach)


def depth_edges(depth: np.ndarray) -> np.ndarray:
    """Strength of the steps in inverse depth, float32 [H,W]; what is missing counts as the farther side of its row.

    A structured-light camera misses a shadow next to every near object; it belongs to what lies behind.
    """
    inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-3), np.inf).astype(np.float32)
    known = depth > 0
    columns = np.arange(depth.shape[1])
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, depth.shape[1])[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(inverse, ((0, 0), (1, 1)), constant_values=np.inf)
    farther = np.minimum(np.take_along_axis(padded, left + 1, 1), np.take_along_axis(padded, right + 1, 1))
    filled = np.where(np.isfinite(farther), farther, 0).astype(np.float32)
    return np.where(np.isfinite(farther), _edges(cv2.medianBlur(filled, 5)), 0).astype(np.float32)


def _edges(image):
    return np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1))


def _normalised(edges):
    """Clipped at the 98th percentile, then of mean 0 and deviation 1."""
    clipped = np.minimum(edges, np.percentile(edges, 98))
    return ((clipped - clipped.mean()) / max(clipped.std(), 1e-9)).astype(np.float32)


def _best(mean):
    """The shift (x, y) of the greatest correlation."""
    y, x = np.unravel_index(mean.argmax(), mean.shape)
    return int(x) - REACH, int(y) - REACH


def _agreeing(maps, best):
    random = np.random.default_rng(0)
    draws = [_best(maps[random.integers(0, len(maps), len(maps))].mean(axis=0)) for _ in range(_RESAMPLINGS)]
    return float(np.mean(np.abs(np.array(draws) - best).max(axis=1) <= 1))


def _picture(samples, maps, mean, best):
    """The frame whose edges agree best, a third of it enlarged, and the correlations."""
    figure, (whole, part, right) = pictures.panels(3)
    clearest = samples[int(np.argmax(maps.max(axis=(1, 2))))]
    edges = depth_edges(clearest["depth"])
    strong = edges > np.percentile(edges, 96)
    overlay = np.where(strong[..., None], np.uint8([255, 0, 0]), clearest["rgb"])
    pictures.show(whole, overlay, "depth edges in red")
    pictures.show(part, overlay[_busiest(strong)], "a third of it")
    extent = [-REACH - 0.5, REACH + 0.5, REACH + 0.5, -REACH - 0.5]
    right.imshow(mean, cmap="viridis", extent=extent)
    right.plot(*best, "x", color=pictures.RED, markersize=9, markeredgewidth=2)
    right.plot(0, 0, "+", color="white", markersize=9)
    right.set(xlabel="shift of depth to the right, px", ylabel="down, px")
    return pictures.png(figure)


def _busiest(strong):
    """The window, a third of the image high and wide, that holds most edges."""
    height, width = (-(-size // 3) for size in strong.shape)
    sums = np.pad(strong.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    counts = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    y, x = np.unravel_index(counts.argmax(), counts.shape)
    return slice(y, y + height), slice(x, x + width)
