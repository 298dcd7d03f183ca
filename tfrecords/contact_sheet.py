"""A sheet of samples: colour, depth and HHA side by side."""

import io

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_simsiam.depth import hha
from tfrecords.dataset import Dataset

SAMPLES = 12
_ACROSS = 2  # samples in a row


def choose(data: Dataset) -> list[tuple[str, dict]]:
    """At most 12 samples (with their split), evenly over all frames of all splits; each a dict of NumPy arrays."""
    counts = [split.count for split in data.splits.values()]
    total = sum(counts)
    wanted = np.unique(np.linspace(0, total - 1, min(SAMPLES, total)).round().astype(int)) if total else []
    chosen, start = [], 0
    for name, count in zip(data.splits, counts, strict=True):
        inside = tf.constant(np.isin(np.arange(start, start + count), wanted))
        records = data.records(name).take(count).enumerate().filter(lambda index, _, inside=inside: inside[index])
        samples = records.map(lambda _, record: data.decode(record))
        chosen += [(name, sample) for sample in samples.as_numpy_iterator()]
        start += count
    return chosen


def draw(samples: list[tuple[str, dict]], classes: tuple[str, ...]) -> bytes:
    """The sheet as a PNG file's bytes: per sample its colour and, where it has depth, depth (grey: missing) and HHA.

    Args:
        samples: with their split, as `choose` gives them, at least one.
        classes: the name of each label.
    """
    kinds = 3 if "depth" in samples[0][1] else 1
    rows, columns = -(-len(samples) // _ACROSS), kinds * _ACROSS
    figure = Figure(figsize=(2.0 * columns, 1.9 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (split, sample) in enumerate(samples):
        row, column = divmod(number, _ACROSS)
        place = grid[row, kinds * column : kinds * (column + 1)]
        _draw_sample(place, sample, f"{split}: {_caption(sample, classes)}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_sample(place, sample, caption):
    place[0].imshow(sample["rgb"])
    place[0].set_title(caption, fontsize=7, loc="left")
    if len(place) == 1:
        return
    depth = np.ma.masked_where(sample["depth"] <= 0, sample["depth"])
    place[1].imshow(np.full((*depth.shape, 3), 0.75))
    if depth.count():
        # The few farthest pixels must not take all the colours.
        low, high = np.percentile(depth.compressed(), [2, 98])
        place[1].imshow(depth, cmap="viridis", vmin=low, vmax=high)
        title = f"{depth.min():.2f} to {depth.max():.2f} m, {100 * np.mean(sample['depth'] <= 0):.0f} % missing"
        place[1].set_title(title, fontsize=7, loc="left")
    image = _encode(sample["depth"], sample["intrinsics"], sample["gravity"]).numpy()
    place[2].imshow(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    known = "declared" if sample["gravity"].any() else "estimated"
    place[2].set_title(f"HHA, gravity {known}", fontsize=7, loc="left")


def _caption(sample, classes):
    label = int(sample["label"])
    kind = f", {classes[label]}" if 0 <= label < len(classes) else ""
    height, width = sample["rgb"].shape[:2]
    return f"{sample['frame'].decode()[-24:]}{kind}, {width}×{height}"


# One graph for frames of all sizes: tracing takes longer than encoding.
_encode = tf.function(
    lambda depth, intrinsics, gravity: hha.encode(depth, intrinsics, gravity),
    input_signature=[tf.TensorSpec(shape, tf.float32) for shape in ([None, None], [4], [3])],
    autograph=False,
)
