"""Panels side by side: what the figures of tasks and experiments have in common."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# of the encoders in the order of `Subject.names`: the one that was asked for, what it is compared with
COLOURS = ("#1f5fa8", "#c0392b", "#e08a1e")


def make(columns, width=4.4, height=3.4, rows=1):
    """A figure without global state, and its axes.

    Args:
        columns: panels side by side.
        width, height: of each, in inches.
        rows: of panels.

    Returns:
        (figure, a list of rows·columns axes, row by row).
    """
    figure = Figure(figsize=(width * columns, height * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    return figure, panels
