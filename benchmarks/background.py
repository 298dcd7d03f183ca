"""What views by measured depth cost the input pipeline: time per frame, from its record to two views, with each and with none.

    python -m benchmarks.background --data_dir=data/asl --modality=rgb --image_size=64

All are measured in turns in one process: read the ratios. `--background_probability` is as by default.
"""

import keras_simsiam.core.command  # noqa: F401

import argparse
import statistics
import time

import tensorflow as tf

from benchmarks import machine
from keras_simsiam.views import background
from keras_simsiam.views.augmentation import Augmentation, sample_seed, two_views
from keras_simsiam.views.preprocessing import Preprocessing, native_images
from tfrecords import Dataset

CHOICES = {kind: {"background": kind} for kind in background.CHOICES} | {"crop_3d": {"crop_3d": (0.2, 1.0)}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True, help="Data set with depth, as tfrecords.build wrote it.")
    parser.add_argument("--modality", default="rgbd", help="rgb, hha or rgbd.")
    parser.add_argument("--image_size", type=int, default=64, help="Side of a view in pixels.")
    parser.add_argument("--frames", type=int, default=16, help="Frames of a turn, which are one batch.")
    parser.add_argument("--turns", type=int, default=7, help="Turns of each choice.")
    parser.add_argument("--busy", action="store_true", help="Count the time of this process's cores, not the wall's.")
    arguments = parser.parse_args()
    dataset = Dataset(arguments.data_dir)
    every = max(1, dataset.splits["train"].count // arguments.frames)
    records = list(dataset.records("train").shard(every, 0).take(arguments.frames))
    print(machine.describe())
    calls = [batch_of(dataset, arguments, records, drawn) for drawn in CHOICES.values()]
    seconds = machine.in_turns(arguments.turns, *calls, clock=machine.clock(arguments.busy))
    print(f"{arguments.modality}, {arguments.image_size} px")
    print("views       ms a frame   to none   of each turn")
    for name, each in zip(CHOICES, seconds, strict=True):
        ratios = [one / none for one, none in zip(each, seconds[0], strict=True)]
        row = f"{name:9}{1000 * statistics.median(each) / len(records):13.2f}{statistics.median(ratios):10.2f}"
        print(f"{row}   {min(ratios):.2f} to {max(ratios):.2f}")


def batch_of(dataset, arguments, records, drawn):
    """A function that makes one batch of two views, and gives the seconds it took; its graphs are made already."""
    preprocessing, augmentation = Preprocessing(arguments.modality, arguments.image_size), Augmentation(**drawn)

    @tf.function
    def of_record(record, place):
        sample = dataset.decode(record)
        images = native_images(sample, preprocessing)
        images |= {name: sample[name] for name in ("depth", "intrinsics") if augmentation.of_depth}
        seed = sample_seed(0, 0, place)
        return two_views(images, seed, augmentation=augmentation, image_size=arguments.image_size)

    replace = tf.function(background.replace)

    def batch():
        start = time.perf_counter()
        views = [of_record(record, tf.constant(place)) for place, record in enumerate(records)]
        views = tf.nest.map_structure(lambda *each: tf.stack(each), *views)
        if augmentation.background == "replaced":
            replace(views)
        return time.perf_counter() - start

    batch()
    return batch


if __name__ == "__main__":
    main()
