"""What small crops cost the input pipeline: time per frame, from its record to its views, with N of them and with none.

    python -m benchmarks.multi_crop --data_dir=data/washington --image_size=224

All are measured in turns in one process, so that what else the machine does meets all alike: read the ratios. Frame by frame
and not in batches, for a pipeline that prefetches would go on with one N in the turn of another.
"""

import keras_simsiam.core.command  # noqa: F401

import argparse
import statistics
import time

import tensorflow as tf

from benchmarks import machine
from keras_simsiam.views.augmentation import Augmentation, sample_seed, small_views, two_views
from keras_simsiam.views.preprocessing import Preprocessing, native_images
from tfrecords import Dataset

COUNTS = (0, 2, 4, 6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True, help="Data set, as tfrecords.build wrote it.")
    parser.add_argument("--modality", default="rgbd", help="rgb, hha or rgbd.")
    parser.add_argument("--image_size", type=int, default=224, help="Side of a view in pixels.")
    parser.add_argument("--frames", type=int, default=16, help="Frames of a turn.")
    parser.add_argument("--turns", type=int, default=5, help="Turns of each N.")
    parser.add_argument("--busy", action="store_true", help="Count the time of this process's cores, not the wall's.")
    arguments = parser.parse_args()
    dataset = Dataset(arguments.data_dir)
    records = list(dataset.records("train").take(arguments.frames))
    print(machine.describe())
    made = {count: views(dataset, arguments, count) for count in COUNTS}
    first = {count: seconds_of(one, records[:1]) for count, one in made.items()}
    calls = [lambda one=one: seconds_of(one, records) for one in made.values()]
    seconds = machine.in_turns(arguments.turns, *calls, clock=machine.clock(arguments.busy))
    small = Augmentation().small_side(arguments.image_size)
    print(f"{arguments.modality}, {arguments.image_size} px, small crops of {small} px")
    print("small crops   ms a frame   to none   of each turn   first frame, s")
    for count, each in zip(COUNTS, seconds, strict=True):
        ratios = [one / none for one, none in zip(each, seconds[0], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        row = f"{count:11}{1000 * statistics.median(each) / len(records):13.2f}{statistics.median(ratios):10.2f}"
        print(f"{row}   {spread:14} {first[count]:.1f}")


def views(dataset, arguments, count):
    """A function from a record and its place to DINO's views of it, with the same large areas for all N."""
    preprocessing = Preprocessing(arguments.modality, arguments.image_size)
    augmentation = Augmentation(augmentations="dino", min_crop=0.4, small_crops=count)
    drawn = {"augmentation": augmentation, "image_size": arguments.image_size}

    @tf.function
    def of_record(record, place):
        images, seed = native_images(dataset.decode(record), preprocessing), sample_seed(0, 0, place)
        return two_views(images, seed, **drawn) + small_views(images, seed, **drawn)

    return of_record


def seconds_of(one, records):
    start = time.perf_counter()
    for place, record in enumerate(records):
        one(record, tf.constant(place))
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
