"""Frames of a data set as a figure: rows of pictures with titles."""

import textwrap

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SIDE = 1.25  # of a picture, in inches
_COLOURS = matplotlib.colormaps["viridis"].with_extremes(bad="0.8")


def evenly(dataset, split, count):
    """Frames of a split, evenly spaced in the order in which it is read; the others are not decoded.

    Args:
        dataset: the `tfrecords.Dataset`.
        split: name of the split.
        count: how many; all of a split that has fewer.

    Returns:
        A list of Samples (docs/architecture.md).

    Raises:
        UserError: the data set has no such split.
    """
    step = max(1, dataset.split(split).count // count)
    return list(dataset.records(split).shard(step, step // 2).take(count).map(dataset.decode))


def grid(rows):
    """A figure of pictures in rows.

    Args:
        rows: lists of (title, image) or None for an empty place; an image is [H,W,3] in 0..1, or [H,W] of any range with NaN
            where nothing is known, which is drawn grey.

    Returns:
        A matplotlib figure.
    """
    columns = max(map(len, rows))
    figure = Figure(figsize=(SIDE * columns, (SIDE + 0.28) * len(rows)), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, cell in zip(figure.subplots(len(rows), columns, squeeze=False).flat, _cells(rows, columns), strict=True):
        if not cell:
            axes.axis("off")
            continue
        title, image = cell
        axes.imshow(image, cmap=_COLOURS)
        axes.set_title(textwrap.fill(title, 18), fontsize=7)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("0.7")  # a frame: some images are white to their border
    return figure


def _cells(rows, columns):
    return [cell for row in rows for cell in [*row, *[None] * (columns - len(row))]]
