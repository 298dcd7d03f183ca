"""Pictures of monocular depth: predictions side by side (Ray, Figure 3), and loss curves (Figure 1)."""

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MISSING = "0.6"  # matplotlib's gray, which the colour map of depth does not hold
_CELL = 1.25  # inches


def predictions(rgb, truth, predicted, path):
    """Draw a row of images, one of measured depth, and one of predicted depth a configuration; a column a frame.

    All depths share one colour scale, that of the measured ones; missing depth is gray.

    Args:
        rgb: float32 [N,S,S,3] in 0..1.
        truth: float32 [N,S,S], metres, 0 = missing; some of it measured.
        predicted: a dict from a configuration's name to float32 [N,S,S], metres.
        path: the PNG file to write.
    """
    rows = {"measured": np.ma.masked_where(truth <= 0, truth), **predicted}
    scale = {"vmin": rows["measured"].min(), "vmax": rows["measured"].max()}
    colours = colormaps["viridis_r"].with_extremes(bad=MISSING)
    figure, grid = _figure(len(rgb) * _CELL + 3, (len(rows) + 1) * _CELL, len(rows) + 1, len(rgb))
    for axes, image in zip(grid[0], rgb, strict=True):
        axes.imshow(image)
    for line, depths in zip(grid[1:], rows.values(), strict=True):
        for axes, depth in zip(line, depths, strict=True):
            drawn = axes.imshow(depth, cmap=colours, **scale)
    for axes, name in zip(grid[:, 0], ["colour", *rows], strict=True):
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=grid, label="depth in metres (gray: not measured)", fraction=0.05)
    figure.savefig(path, bbox_inches="tight")


def curves(histories, path):
    """Draw the mean squared error over the epochs, the trials of a configuration as a `band`.

    Args:
        histories: a dict from a configuration's name to a dict of `train` and `validation`, each a list of a list of m² a
            trial; `validation` may hold empty lists.
        path: the PNG file to write.
    """
    has_validation = any(values for history in histories.values() for values in history["validation"])
    titles = {"train": "training frames"} | ({"validation": "validation frames"} if has_validation else {})
    figure, grid = _figure(4.6 * len(titles), 3.4, 1, len(titles), sharey=True)
    for axes, (key, title) in zip(grid[0], titles.items(), strict=True):
        for number, (name, history) in enumerate(histories.items()):
            band(axes, np.array(history[key]), label=name, color=f"C{number}")
        axes.set(title=title, xlabel="epoch", yscale="log")
        axes.grid(alpha=0.3, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("mean squared error, m²")
    grid[0, -1].legend(fontsize=7)
    figure.savefig(path, bbox_inches="tight")


def band(axes, values, *, label, color, linestyle="-"):
    """Draw the median over trials as a line, in a band from the lowest trial to the highest.

    A trial may leave a plateau long after the others: a mean and a deviation would then be near none of them, and reach below
    zero, which a logarithmic axis does not show.

    Args:
        axes: of matplotlib.
        values: float [T,E], a row a trial, of E epochs.
        label: of the line.
        color, linestyle: matplotlib's.
    """
    epochs = range(1, values.shape[1] + 1)
    axes.plot(epochs, np.median(values, axis=0), linestyle, color=color, label=label, linewidth=1.2)
    axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)


def _figure(width, height, rows, columns, **options):
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)
