"""Figures of the findings, as PNG."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

BLUE, RED, GREY = "#2060a8", "#b3261e", "0.75"


def panels(columns: int, height: float = 2.8, width: float = 7.6):
    """A figure with so many axes side by side (width and height in inches): the figure, and the list of axes."""
    # A figure without pyplot keeps no global state.
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def png(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def show(axes, image: np.ndarray, title: str = "", **options) -> None:
    """Show an image without ticks; depth [H,W] in metres with its holes in grey."""
    if image.ndim == 2 and image.dtype.kind == "f":
        image = np.ma.masked_where(~(image > 0), image)
        axes.set_facecolor(GREY)
    axes.imshow(image, **options)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def histogram(axes, values, label: str, bins=30, **options) -> None:
    """Counts of frames by value."""
    axes.hist(values, bins=bins, color=BLUE, **options)
    axes.set(xlabel=label, ylabel="frames")
    axes.spines[["top", "right"]].set_visible(False)


def rectangle():
    """The outline of an image in shares of its width and height."""
    return Rectangle((0, 0), 1, 1, fill=False, edgecolor="0.3")
