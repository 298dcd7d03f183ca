"""Missing depth: how far the fills are from the truth, and what each choice makes of real frames. Quality, no timings.

    python -m benchmarks.holes --frames=rgbd_frames --figure=docs/images/holes.png

`--frames` is the folder that shared/data/rgbd_frames.tar.xz unpacks to. The table: windows of real depth that miss
nothing, in which holes copied from windows of the other scenes are punched; errors are only of the punched pixels.
"""

import keras_simsiam.core.command  # noqa: F401

import argparse
import itertools
import json
import pathlib

import cv2
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from keras_simsiam.depth import holes

SCENES = {
    "kinect2": "kinect2/depth/sample_depth.png",
    "redwood": "redwood/depth/00000.png",
    "sun": "sun/depth/SUN_depth.png",
    "tum": "tum_fr1_desk/depth/1305031453.374112.png",
}
SHOWN = {  # frames of which more than 15 % is missing, and their colour
    "sun": (SCENES["sun"], "sun/color/SUN_color.jpg"),
    "tum_fr1_desk": ("tum_fr1_desk/depth/1305031453.374112.png", "tum_fr1_desk/rgb/1305031453.359684.png"),
    "tum_fr1_desk, 0.2 s later": (
        "tum_fr1_desk/depth/1305031453.574074.png",
        "tum_fr1_desk/rgb/1305031453.559753.png",
    ),
}
WINDOW = 160
HOLE_SHARE = (0.1, 0.5)
TRIALS = 10  # of each pair of scenes
SATURATED = 65535


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=pathlib.Path, required=True, help="Folder of the unpacked rgbd_frames.")
    parser.add_argument("--figure", type=pathlib.Path, help="PNG to draw the choices into.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the windows drawn.")
    arguments = parser.parse_args()
    scenes = {name: load_depth(arguments.frames / path) for name, path in SCENES.items()}
    print_table(list(draw_trials(scenes, np.random.default_rng(arguments.seed))))
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


def draw_trials(scenes, random):
    """Yield (complete depth, hole), `[WINDOW, WINDOW]` each, the hole of another scene and mirrored half of the time."""
    for truth, source in itertools.permutations(scenes, 2):
        complete = windows(scenes[truth], 0, 0)
        holed = windows(scenes[source], *HOLE_SHARE)
        for _ in range(TRIALS):
            hole = _cut(scenes[source], holed[random.integers(len(holed))]) == 0
            depth = _cut(scenes[truth], complete[random.integers(len(complete))])
            yield depth, hole[:, ::-1] if random.random() < 0.5 else hole


def windows(depth, least, most):
    """Corners `[N, 2]` of the windows of which a share of `least` to `most` is missing."""
    missing = np.pad((depth == 0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    size = WINDOW
    counts = missing[size:, size:] - missing[:-size, size:] - missing[size:, :-size] + missing[:-size, :-size]
    return np.argwhere((counts >= least * size**2) & (counts <= most * size**2))


def _cut(depth, corner):
    y, x = corner
    return depth[y : y + WINDOW, x : x + WINDOW]


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


def print_table(trials):
    """Print the errors of every fill over all punched pixels."""
    fills = {f"`{name}`": lambda depth, fill=fill: fill(depth).numpy() for name, fill in holes.FILLS.items()}
    fills |= {"recursive median 5×5 (NumPy)": recursive_median, "cv2.inpaint, Telea, radius 5": telea}
    punched = np.array([hole.mean() for _, hole in trials])
    print(f"{len(trials)} windows, {100 * punched.min():.0f} to {100 * punched.max():.0f} % punched")
    print("| fill | mean absolute error, mm | RMSE, mm | within 5 % |\n|---|---|---|---|")
    for name, fill in fills.items():
        pairs = [(fill(np.where(hole, 0, depth).astype(np.float32))[hole], depth[hole]) for depth, hole in trials]
        filled, truth = (np.concatenate(part).astype(np.float64) for part in zip(*pairs, strict=True))
        error = np.abs(filled - truth)
        near = 100 * np.mean(error < 0.05 * truth)
        print(f"| {name} | {1000 * error.mean():.1f} | {1000 * np.sqrt((error**2).mean()):.1f} | {near:.1f} % |")


def draw_figure(frames, path):
    """A column a frame; rows: colour, depth, HHA (gupta) of each choice, of `mask` the fourth channel."""
    figure, axes = plt.subplots(2 + len(holes.CHOICES), len(SHOWN), figsize=(9.6, 17.2), layout="constrained")
    for column, (name, (depth_file, color_file)) in zip(axes.T, SHOWN.items(), strict=True):
        depth = load_depth(frames / depth_file)
        column[0].imshow(cv2.imread(str(frames / color_file))[..., ::-1])
        column[0].set_title(f"{name}\n{100 * np.mean(depth == 0):.1f} % missing", fontsize=10)
        column[1].imshow(np.where(depth > 0, depth, np.nan), cmap="viridis", vmax=np.percentile(depth, 99))
        camera = json.loads(((frames / depth_file).parents[1] / "camera.json").read_text())
        intrinsics = tf.constant([camera[key] for key in ("fx", "fy", "cx", "cy")], tf.float32)
        for axis, choice in zip(column[2:], holes.CHOICES, strict=True):
            image = holes.encode(depth, intrinsics, holes=choice).numpy()
            picture = image[..., 3] if choice == "mask" else image
            axis.imshow(np.round(picture).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
    for row, label in zip(axes, ("colour", "depth", *holes.CHOICES), strict=True):
        row[0].set_ylabel("mask (4th channel)" if label == "mask" else label, fontsize=11)
        for axis in row:
            axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=64)


if __name__ == "__main__":
    main()
