"""What each transform makes of a frame, alone and all together (the CIFAR-10 poster, Figure 2); trains nothing.

python -m experiments.augmentation_samples --data_dir=data/washington --workdir=runs/washington
"""

import tensorflow as tf

from experiments import common, frame_grid, report_parts
from keras_simsiam.views import blur
from keras_simsiam.views.augmentation import (
    Augmentation,
    color_transforms,
    hha_transforms,
    random_box,
    sample_seed,
    two_views,
)
from keras_simsiam.views.preprocessing import Preprocessing, clean_view, native_images
from keras_simsiam.views.resample import resample
from tfrecords import Dataset

NAME, TITLE = "augmentation_samples", "Augmentation samples"
FRAMES = {"smoke": 1, "small": 3, "paper": 3}
SIZE = 128  # pixels; a smaller frame is shown as it is
_ON_HHA = (
    "HHA (disparity, height, angle as red, green, blue) has the crop and the flip of its colour image. `all transforms` are "
    "the colours' own draws (`--hha_color`), `jitter` is `--hha_jitter`."
)
JITTERED = Augmentation(hha_jitter=True)


def main(settings):
    """Draws the figure of a few training frames with the first of the seeds."""
    dataset = Dataset(settings.data_dir)
    samples = frame_grid.evenly(dataset, "train", FRAMES[settings.scale])
    rows = []
    for index, sample in enumerate(samples):
        rows += picture_rows(sample, sample_seed(settings.seeds[0], 0, index), dataset.has_depth)
    names = [sample["frame"].numpy().decode() for sample in samples]
    text = [
        "Training frames as they are evaluated (`frame`), then two draws of each transform alone, then two views as training "
        "compares them, which are crop, flip, colour and the rest together. A draw may leave a frame as it is: colour jitter "
        "comes with probability 0.8 and grayscale with 0.2. Blur is part of the ImageNet recipes alone (`--blur`).",
        _ON_HHA if dataset.has_depth else "",
    ]
    raw = {"frames": names, "seed": settings.seeds[0], "min_crop": JITTERED.min_crop}
    report_parts.save(settings, dataset, NAME, TITLE, text, {TITLE: frame_grid.grid(rows)}, raw)


def picture_rows(sample, seed, has_depth):
    """The pictures of one frame: a row of its colour image and, of frames with depth, a row of its HHA image.

    Args:
        sample: a Sample.
        seed: int32 [2].
        has_depth: whether to add the HHA image.

    Returns:
        A list of rows as `frames.grid` takes them.
    """
    size = min(SIZE, *sample["rgb"].shape[:2])
    preprocessing = Preprocessing("rgbd" if has_depth else "rgb", size)
    native, clean = native_images(sample, preprocessing), clean_view(sample, preprocessing)
    draws = list(tf.random.experimental.stateless_split(seed, 2))
    crops = [_cropped(native, draw, size) for draw in draws]
    views = two_views(native, seed, augmentation=JITTERED, image_size=size)

    def row(name, apart):
        shown = [(_TITLES[name], clean[name])]
        shown += [("crop", crop[name]) for crop in crops]
        shown += [("flip", tf.reverse(clean[name], [1]))]
        shown += [(title, change(clean[name], draw)) for title, change in apart.items() for draw in draws]
        return shown + [(f"view {number}", view[name]) for number, view in enumerate(views, 1)]

    colours = {"colour jitter, grayscale": _coloured, "blur": lambda x, s: blur.random_blur(x, s, 1.0)}
    rows = [row("rgb", colours)]
    if has_depth:
        rows.append(row("hha", {"all transforms": _coloured, "jitter": _jittered}))
    return rows


_TITLES = {"rgb": "frame", "hha": "HHA"}


def _cropped(images, seed, size):
    box = random_box(tf.shape(images["rgb"])[:2], seed, JITTERED.min_crop)
    return {name: resample(image, box, size) for name, image in images.items()}


def _coloured(image, seed):
    return color_transforms(image, seed, augmentation=JITTERED)


def _jittered(hha, seed):
    return hha_transforms(hha, hha[..., :0], seed, JITTERED)[0]


if __name__ == "__main__":
    common.command(main)
