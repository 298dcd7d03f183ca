"""Images a second: the input pipeline alone, the train step alone, and both together as train.py runs them.

    python -m benchmarks.training --data_dir=data/washington

The three are measured in one run, since machines differ and so does one machine from minute to minute. The last line is the
target: the time per image of both together over the sum of the two alone (1.0: nothing lost; below: they overlap).
"""

from keras_simsiam.core.command import run_command

import time

import tensorflow as tf
from absl import flags

from benchmarks import machine
from keras_simsiam.core import keras_compat
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.views.batches import view_batches
from tfrecords import Dataset

flags.DEFINE_string("data_dir", None, "Folder of a data set with depth.", required=True)
flags.DEFINE_integer("image_size", 64, "Side of a view in pixels.")
flags.DEFINE_integer("width", 32, "Channels of the backbone's first stage.")
flags.DEFINE_enum("precision", "mixed_bfloat16", ["float32", "mixed_bfloat16"], "Precision of the arithmetic.")
flags.DEFINE_integer("steps", 30, "Steps of 64 images to measure.")

BATCH = 64
WARM_UP = 4


def main():
    settings = flags.FLAGS
    print(
        f"{machine.describe()}; {settings.image_size} px, width {settings.width}, batch {BATCH}, {settings.precision}"
    )
    print("| modality | pipeline, img/s | step, img/s | together, img/s | together / (pipeline + step), time |")
    print("|---|---|---|---|---|")
    for modality in ("rgb", "rgbd"):
        print(_row(modality))


def _row(modality):
    settings = flags.FLAGS
    config = RunConfig(
        settings.data_dir,
        "",
        modality=modality,
        image_size=settings.image_size,
        width=settings.width,
        batch_size=BATCH,
    )
    dataset = Dataset(settings.data_dir)
    batches = view_batches(
        dataset.records("train"),
        dataset.decode,
        count=dataset.splits["train"].count,
        preprocessing=config.preprocessing,
        augmentation=config.augmentation,
        batch_size=BATCH,
        seed=0,
    )
    keras_compat.set_precision(settings.precision)
    step = tf.function(run.build_method(config, steps_per_epoch=1000).train_step)
    constant = next(iter(batches))
    times = [
        _seconds_per_image(batches, lambda batch: None),
        _seconds_per_image(tf.data.Dataset.from_tensors(constant).repeat(), step),
        _seconds_per_image(batches, step),
    ]
    rates = " | ".join(f"{1 / seconds:.0f}" for seconds in times)
    return f"| {modality} | {rates} | {times[2] / (times[0] + times[1]):.2f} |"


def _seconds_per_image(batches, step):
    iterator = iter(batches)
    for _ in range(WARM_UP):
        step(next(iterator))
    start = time.perf_counter()
    for _ in range(flags.FLAGS.steps):
        logs = step(next(iterator))
    if logs:
        float(logs["loss"])  # the last step has ended when its number has arrived
    return (time.perf_counter() - start) / (flags.FLAGS.steps * BATCH)


if __name__ == "__main__":
    run_command(main)
