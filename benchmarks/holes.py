"""Missing depth: how far the fills are from the truth, and what each choice makes of real frames.

    python -m benchmarks.holes --frames=rgbd_frames --figure=docs/images/holes.png

`--frames` is the folder that shared/data/rgbd_frames.tar.xz unpacks to. The table: windows of real depth that miss
nothing, in which holes copied from windows of the other scenes are punched; errors are only of the punched pixels. Times
are of the whole frames of 640×480 pixels with the holes that they have.
"""

import keras_simsiam.core.command  # noqa: F401

import argparse
import itertools
import json
import pathlib
import statistics
import time

import cv2
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from keras_simsiam.depth import completion, holes

FIGURE = ("none", "mask", "neutral", *holes.FILLS, "guided")
SCENES = {
    "kinect2": "kinect2/depth/sample_depth.png",
    "redwood": "redwood/depth/00000.png",
    "sun": "sun/depth/SUN_depth.png",
    "tum": "tum_fr1_desk/depth/1305031453.374112.png",
}
COLORS = {
    "kinect2": "kinect2/color/sample_rgb.png",
    "redwood": "redwood/color/00000.jpg",
    "sun": "sun/color/SUN_color.jpg",
    "tum": "tum_fr1_desk/rgb/1305031453.359684.png",
}
SHOWN = {  # frames of which more than 15 % is missing, and their colour
    "sun": (SCENES["sun"], COLORS["sun"]),
    "tum_fr1_desk": (SCENES["tum"], COLORS["tum"]),
    "tum_fr1_desk, 0.2 s later": (
        "tum_fr1_desk/depth/1305031453.574074.png",
        "tum_fr1_desk/rgb/1305031453.559753.png",
    ),
}
WINDOW = 160
HOLE_SHARE = (0.1, 0.5)
TRIALS = 10  # of each pair of scenes
SATURATED = 65535
TIMED, RUNS = (480, 640), 5  # frames of this size, each so many times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=pathlib.Path, required=True, help="Folder of the unpacked rgbd_frames.")
    parser.add_argument("--figure", type=pathlib.Path, help="PNG to draw the choices into.")
    parser.add_argument(
        "--holes_model", help="A completion that tools.depth_completion has written, as a row `learned`."
    )
    parser.add_argument("--seed", type=int, default=0, help="Seed of the windows drawn.")
    arguments = parser.parse_args()
    scenes = {name: load_depth(arguments.frames / path) for name, path in SCENES.items()}
    colors = {name: load_color(arguments.frames / path) for name, path in COLORS.items()}
    trials = list(draw_trials(scenes, colors, np.random.default_rng(arguments.seed)))
    print_table(trials, fills(arguments.holes_model), scenes, colors)
    if arguments.figure:
        draw_figure(arguments.frames, arguments.figure)


def load_depth(path):
    """Depth in metres `[H, W]`, float32, 0 = missing, of a frame whose folder has a camera.json."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    camera = json.loads((path.parents[1] / "camera.json").read_text())
    if "rotated" in camera["encoding"]:  # SUN3D: the low three bits are the high ones
        values = (values >> 3) | (values << 13)
    values = np.where(values == SATURATED, 0, values)
    return values.astype(np.float32) / np.float32(camera["depth_units_per_metre"])


def load_color(path):
    """Colour, uint8 `[H, W, 3]`."""
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def draw_trials(scenes, colors, random):
    """Yield (complete depth, hole, colour), windows of WINDOW² pixels; the hole of another scene, mirrored half of the time."""
    for truth, source in itertools.permutations(scenes, 2):
        complete = windows(scenes[truth], 0, 0)
        holed = windows(scenes[source], *HOLE_SHARE)
        for _ in range(TRIALS):
            hole = _cut(scenes[source], holed[random.integers(len(holed))]) == 0
            corner = complete[random.integers(len(complete))]
            hole = hole[:, ::-1] if random.random() < 0.5 else hole
            yield _cut(scenes[truth], corner), hole, _cut(colors[truth], corner)


def windows(depth, least, most):
    """Corners `[N, 2]` of the windows of which a share of `least` to `most` is missing."""
    missing = np.pad((depth == 0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    size = WINDOW
    counts = missing[size:, size:] - missing[:-size, size:] - missing[size:, :-size] + missing[:-size, :-size]
    return np.argwhere((counts >= least * size**2) & (counts <= most * size**2))


def _cut(image, corner):
    y, x = corner
    return image[y : y + WINDOW, x : x + WINDOW]


def recursive_median(depth):
    """Median of the measured pixels in 5×5, again and again until nothing is missing (Lai et al., ICRA 2011)."""
    depth = np.where(depth > 0, depth, np.nan)
    while np.isnan(depth).any():
        around = np.lib.stride_tricks.sliding_window_view(np.pad(depth, 2, constant_values=np.nan), (5, 5))
        y, x = np.nonzero(np.isnan(depth))
        seen = around[y, x].reshape(-1, 25)
        some = ~np.isnan(seen).all(1)
        depth[y[some], x[some]] = np.nanmedian(seen[some], 1)
    return depth


def telea(depth):
    """OpenCV's in-painting (Telea 2004), in whole millimetres: of floats it gives nonsense."""
    millimetres = np.round(1000 * depth).astype(np.uint16)
    return cv2.inpaint(millimetres, (depth == 0).astype(np.uint8), 5, cv2.INPAINT_TELEA) / 1000.0


def fills(holes_model=None):
    """The fills by name, each a function from depth and colour to depth, `nearest` first."""
    graphs = {name: tf.function(lambda depth, rgb, fill=fill: fill(depth)) for name, fill in holes.FILLS.items()}
    graphs["guided"] = tf.function(holes.guided)
    if holes_model:
        weights = completion.load(holes_model)
        graphs["learned"] = tf.function(lambda depth, rgb: holes.learned(depth, rgb, weights))
    each = {f"`{name}`": lambda *images, graph=graph: graph(*images).numpy() for name, graph in graphs.items()}
    each["recursive median 5×5 (NumPy)"] = lambda depth, _: recursive_median(depth)
    return each | {"cv2.inpaint, Telea, radius 5": lambda depth, _: telea(depth)}


def print_table(trials, fills, scenes, colors):
    """Print the errors of every fill over all punched pixels, and its time a frame as a multiple of the first fill's."""
    punched = np.array([hole.mean() for _, hole, _ in trials])
    print(f"{len(trials)} windows, {100 * punched.min():.0f} to {100 * punched.max():.0f} % punched")
    print("| fill | mean absolute error, mm | RMSE, mm | within 5 % | time |\n|---|---|---|---|---|")
    frames = [(scenes[name], colors[name]) for name in scenes if scenes[name].shape == TIMED]
    unit = None
    for name, fill in fills.items():
        seconds = seconds_a_frame(fill, frames)
        unit = unit or seconds
        pairs = [
            (fill(np.where(hole, 0, depth).astype(np.float32), rgb)[hole], depth[hole]) for depth, hole, rgb in trials
        ]
        filled, truth = (np.concatenate(part).astype(np.float64) for part in zip(*pairs, strict=True))
        error = np.abs(filled - truth)
        mean, squared, near = error.mean(), np.sqrt((error**2).mean()), np.mean(error < 0.05 * truth)
        accuracy = f"{1000 * mean:.1f} | {1000 * squared:.1f} | {100 * near:.1f} %"
        print(f"| {name} | {accuracy} | {seconds / unit:.1f} |")
    print(f"time 1: {1000 * unit:.0f} ms a frame")


def seconds_a_frame(fill, frames):
    """The median over runs, of the mean over frames; a first run is not timed."""
    times = []
    for _ in range(1 + RUNS):
        start = time.perf_counter()
        for images in frames:
            fill(*images)
        times.append((time.perf_counter() - start) / len(frames))
    return statistics.median(times[1:])


def draw_figure(frames, path):
    """A column a frame; rows: colour, depth, HHA (gupta) of each choice, of `mask` the fourth channel."""
    figure, axes = plt.subplots(2 + len(FIGURE), len(SHOWN), figsize=(9.6, 19.6), layout="constrained")
    for column, (name, (depth_file, color_file)) in zip(axes.T, SHOWN.items(), strict=True):
        depth = load_depth(frames / depth_file)
        color = load_color(frames / color_file)
        column[0].imshow(color)
        column[0].set_title(f"{name}\n{100 * np.mean(depth == 0):.1f} % missing", fontsize=10)
        column[1].imshow(np.where(depth > 0, depth, np.nan), cmap="viridis", vmax=np.percentile(depth, 99))
        camera = json.loads(((frames / depth_file).parents[1] / "camera.json").read_text())
        intrinsics = tf.constant([camera[key] for key in ("fx", "fy", "cx", "cy")], tf.float32)
        for axis, choice in zip(column[2:], FIGURE, strict=True):
            image = holes.encode(depth, intrinsics, holes=choice, rgb=color).numpy()
            picture = image[..., 3] if choice == "mask" else image
            axis.imshow(np.round(picture).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
    for row, label in zip(axes, ("colour", "depth", *FIGURE), strict=True):
        row[0].set_ylabel("mask (4th channel)" if label == "mask" else label, fontsize=11)
        for axis in row:
            axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=64)


if __name__ == "__main__":
    main()
