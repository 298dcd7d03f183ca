"""What the figures of tasks and experiments share: panels, their colours, the confusion matrix."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

# of the encoders in the order of `ComparedEncoders.names`: the one that was asked for, what it is compared with
COLOURS = ("#1f5fa8", "#c0392b", "#e08a1e")
ANNOTATED_CLASSES = 15  # above this the percentages no longer fit into the cells


def panels(columns, width=4.4, height=3.4, rows=1):
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
    axes_of_panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in axes_of_panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    return figure, axes_of_panels


def confusion_matrix(labels, predictions, class_names, title, path):
    """Draws a confusion matrix: each row is a true class, its cells the share of its samples predicted as each class.

    Classes without samples keep an empty grey row. Up to 15 classes carry their percentages.

    Args:
        labels: int64 [N], in 0..C−1.
        predictions: int64 [N], in 0..C−1.
        class_names: a list of C strings.
        title: the line above the matrix.
        path: the PNG file to write.
    """
    num_classes = len(class_names)
    percent, totals = percentages(labels, predictions, num_classes), np.bincount(labels, minlength=num_classes)

    # A figure without pyplot keeps no global state: safe inside a training callback.
    side = 0.22 * num_classes if num_classes > ANNOTATED_CLASSES else 0.5 * num_classes
    figure = Figure(figsize=(side + 1, side + 1), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor("0.85")
    # the square root: a confusion of a few percent must show beside a diagonal of 80
    image = axes.imshow(percent, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=100))
    axes.set_xticks(range(num_classes), class_names, rotation=90)
    axes.set_yticks(range(num_classes), [f"{name} ({n})" for name, n in zip(class_names, totals, strict=True)])
    axes.tick_params(labelsize=7 if num_classes > ANNOTATED_CLASSES else 9, length=0)
    axes.set(xlabel="predicted class", ylabel="true class (samples)")
    axes.set_title(title, fontsize=10, pad=12)
    if num_classes <= ANNOTATED_CLASSES:
        _annotate(axes, percent)
    figure.colorbar(image, label="% of the true class", fraction=0.04, pad=0.02)
    figure.savefig(path, bbox_inches="tight")  # makes room for long class names


def percentages(labels, predictions, num_classes):
    """The confusion matrix, each row in percent of its true class.

    Args:
        labels: int64 [N], in 0..C−1.
        predictions: int64 [N], in 0..C−1.
        num_classes: C.

    Returns:
        A masked float64 [C,C] in 0..100, a row a true class and a column a predicted one; a class without samples is masked.
    """
    counts = np.bincount(labels * num_classes + predictions, minlength=num_classes**2).reshape(num_classes, num_classes)
    totals = counts.sum(axis=1, keepdims=True)
    return np.ma.masked_where(np.broadcast_to(totals == 0, counts.shape), 100 * counts / np.maximum(totals, 1))


def _annotate(axes, percent):
    """Writes the percentages into their cells; nothing where there is nothing."""
    for row, column in zip(*np.nonzero(percent.filled(0)), strict=True):
        value = percent[row, column]
        colour = "white" if value > 30 else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
