"""Pictures of frames, and of the nearest frames beside them."""

import cv2
import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

THUMBNAIL = 96  # pixels
RIGHT, WRONG, QUERY = "#2a8f4c", "#c0392b", "0.25"
_INCHES = 0.95  # a picture with its margin


def pictures(samples, places):
    """Small pictures of some frames of a data set: its colours and, where there is depth, depth by colour.

    Args:
        samples: a tf.data.Dataset of Samples.
        places: int, of the frames in it.

    Returns:
        A dict from a place to a list of uint8 [THUMBNAIL,THUMBNAIL,3], one or two.
    """
    wanted = tf.constant(sorted({int(place) for place in places}), tf.int64)
    chosen = samples.enumerate().filter(lambda place, _: tf.reduce_any(place == wanted))
    return {int(place): _drawn(sample) for place, sample in chosen}


def _drawn(sample):
    images = [_centre(sample["rgb"].numpy(), cv2.INTER_AREA)]
    if "depth" in sample:
        images.append(depth_colours(_centre(sample["depth"].numpy(), cv2.INTER_NEAREST)))
    return images


def _centre(image, interpolation):
    """The centre square, resized, as an encoder is given it."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return cv2.resize(image[top : top + side, left : left + side], (THUMBNAIL, THUMBNAIL), interpolation=interpolation)


def depth_colours(depth):
    """Depth by colour, from the frame's 5 % quantile to its 95 %, near is yellow; missing depth is black.

    Args:
        depth: float32 [H,W], metres, 0 = missing.

    Returns:
        uint8 [H,W,3].
    """
    measured = depth > 0
    low, high = np.quantile(depth[measured], [0.05, 0.95]) if measured.any() else (0.0, 1.0)
    near = np.clip((high - depth) / max(high - low, 1e-6), 0, 1)
    colours = colormaps["viridis"](near)[..., :3] * measured[..., None]
    return np.round(255 * colours).astype(np.uint8)


def draw(rows, title, path):
    """A figure of queries, each in the first column of its row, and what is nearest to them.

    Args:
        rows: a list of lists, all of one length, of cells (images, caption, colour): images a list of uint8 [S,S,3] that are
            drawn one above the other; colour RIGHT, WRONG or QUERY, of the frame.
        title: the line above.
        path: the PNG file to write.
    """
    columns, stacked = len(rows[0]), len(rows[0][0][0])
    size = columns * _INCHES, len(rows) * (_INCHES * stacked + 0.1) + 0.4
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        for cell, (images, caption, colour) in zip(axes, row, strict=True):
            cell.imshow(np.concatenate(images), interpolation="nearest")
            cell.set_title(caption, fontsize=6, color=colour, pad=3)
            _framed(cell, colour)
    figure.get_layout_engine().set(h_pad=0.03, w_pad=0.02, hspace=0, wspace=0)
    figure.suptitle(title, fontsize=8)
    figure.savefig(path)


def _framed(axes, colour):
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=2.5)
