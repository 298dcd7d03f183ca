"""What depth augmentation and next frames as positives do to real frames: the pictures of docs/depth_augmentation.md.

    python -m benchmarks.depth_augmentation --input=DIR --output=docs/images

`--input` is a folder into which rgbd_frames.tar.xz, osd.tar.xz and uw-rgbd-mini.tar.xz of shared/data are unpacked.
"""

import keras_simsiam.core.command  # noqa: F401

import argparse
import json
import pathlib

import cv2
import matplotlib.pyplot as plt
import numpy as np

from keras_simsiam.depth import gravity, hha, sensor_noise
from tfrecords import example
from tfrecords.sources import washington

SEED = 1
TILT = 10.0  # degrees, of the picture of gravity jitter
SCENES = {
    "TUM fr1/desk": ("rgbd_frames/tum_fr1_desk", "depth/1305031453.374112.png"),
    "OSD test7": ("osd", "test/depth/test7.png"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=pathlib.Path, required=True, help="Folder of the unpacked frames.")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="Folder to write the pictures into.")
    arguments = parser.parse_args()
    frames = load_videos(arguments.input / "rgbd-dataset")
    scenes = {name: load_scene(arguments.input / folder, path) for name, (folder, path) in SCENES.items()}
    scenes["Washington apple_1"] = scene_of(frames["apple_1"][0])
    draw_sensor_noise(scenes, arguments.output / "depth_faults.png")
    draw_jitter(scenes, arguments.output / "gravity_jitter.png")
    draw_next_frames(frames, arguments.output / "neighbours.png")


def load_scene(folder, path):
    """Depth in metres [H,W], intrinsics [4] and gravity [3], estimated, of a frame whose folder has a camera.json."""
    camera = json.loads((folder / "camera.json").read_text())
    values = cv2.imread(str(folder / path), cv2.IMREAD_UNCHANGED)
    depth = values.astype(np.float32) / np.float32(camera.get("depth_units_per_metre", 1000))
    intrinsics = np.array([camera[name] for name in ("fx", "fy", "cx", "cy")], np.float32)
    return depth, intrinsics, gravity.from_depth(depth, intrinsics)[0].numpy()


def load_videos(folder):
    """The first four frames of the first video of an apple and a ball, as samples."""
    plan = washington.plan(str(folder), every=1, gravity="nominal", split="instance")
    references = [reference for split in plan.splits.values() for reference in split]
    videos = {}
    for instance in ("apple_1", "ball_1"):
        video = [reference for reference in references if reference.name.startswith(f"{instance}_1_")]
        first = sorted(video, key=lambda reference: int(reference.name.rsplit("_", 1)[1]))[:4]
        videos[instance] = [example.decode(example.encode(plan.load(reference))) for reference in first]
    return videos


def scene_of(sample):
    return sample["depth"].numpy(), sample["intrinsics"].numpy(), sample["gravity"].numpy()


def draw_sensor_noise(scenes, path):
    """Depth and HHA before, after each kind of noise, and after all of them."""
    seeds = [np.array([SEED, number], np.int32) for number in range(3)]
    columns = {
        "as recorded": lambda depth, _: depth,
        "shadow, 7.5 cm": lambda depth, camera: sensor_noise.shadow(depth, 0.075 * camera[0]),
        "steps of 1/2 px": lambda depth, camera: sensor_noise.quantise(depth, 0.075 * camera[0] / 0.5, seeds[0]),
        "holes": lambda depth, _: sensor_noise.holes(depth, seeds[1]),
        "all, drawn": lambda depth, camera: sensor_noise.simulate(depth, camera, seeds[2]),
        "all, drawn again": lambda depth, camera: sensor_noise.simulate(depth, camera, seeds[0]),
    }
    figure, axes = plt.subplots(2 * len(scenes), len(columns), figsize=(2.4 * len(columns), 3.7 * len(scenes)))
    for row, (name, (depth, camera, down)) in enumerate(scenes.items()):
        shown = dict(zip(("vmin", "vmax"), np.percentile(depth[depth > 0], (2, 98)), strict=True))
        for column, (title, noise) in enumerate(columns.items()):
            changed = np.asarray(noise(depth, camera))
            title = f"{name}\n{title}" if column == 0 else title
            show(axes[2 * row, column], np.where(changed > 0, changed, np.nan), title, cmap="viridis_r", **shown)
            missing = f"{100 * np.mean(changed == 0):.0f} % missing"
            show(axes[2 * row + 1, column], encoded(changed, camera, down), missing)
    save(figure, path)


def draw_jitter(scenes, path):
    """HHA of the gravity as it is, and of that of two views each of two frames."""
    figure, axes = plt.subplots(len(scenes), 5, figsize=(12, 1.9 * len(scenes)))
    for row, (name, (depth, camera, down)) in enumerate(scenes.items()):
        show(axes[row, 0], encoded(depth, camera, down), name)
        for column in range(1, 5):
            turned = gravity.tilted(down, np.array([column, SEED], np.int32), TILT).numpy()
            degrees = np.degrees(np.arccos(np.clip(turned @ down, -1, 1)))
            show(axes[row, column], encoded(depth, camera, turned), f"turned by {degrees:.1f}°")
    save(figure, path)


def draw_next_frames(videos, path):
    """Frames of a turntable in order: each is paired with the one to its right, the last with the one before."""
    figure, axes = plt.subplots(2 * len(videos), 4, figsize=(8, 4 * len(videos)))
    for row, samples in enumerate(videos.values()):
        for column, sample in enumerate(samples):
            show(axes[2 * row, column], sample["rgb"].numpy(), sample["frame"].numpy().decode())
            show(axes[2 * row + 1, column], encoded(*scene_of(sample)), "")
    save(figure, path)


def encoded(depth, camera, down):
    return hha.encode(depth, camera, down, encoding="paper").numpy() / 255


def show(axis, image, title, **options):
    axis.imshow(image, interpolation="nearest", **options)
    axis.set_title(title, fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])


def save(figure, path):
    figure.tight_layout(pad=1.0)
    figure.savefig(path, dpi=75)
    plt.close(figure)


if __name__ == "__main__":
    main()
