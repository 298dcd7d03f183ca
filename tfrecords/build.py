"""The command that builds a data set: python -m tfrecords.build --source=... --output=..."""

from keras_simsiam.core.command import run_command

import inspect
import os
import signal
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # an unreadable image is reported by our own line
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it is the frames that are dealt out to the cores

from absl import flags

from keras_simsiam.core.errors import UserError
from tfrecords import build_summary, builder
from tfrecords.processes import Pool
from tfrecords.sources import cifar10, folder, nyu, open3d, sunrgbd, synthetic, tfds, tum, washington
from tfrecords.unfinished import Unfinished

SOURCES = {
    "cifar10": cifar10.plan,
    "folder": folder.plan,
    "nyu": nyu.plan,
    "open3d": open3d.plan,
    "sunrgbd": sunrgbd.plan,
    "synthetic": synthetic.plan,
    "tfds": tfds.plan,
    "tum": tum.plan,
    "washington": washington.plan,
}

FLAGS = flags.FLAGS
flags.DEFINE_enum("source", None, sorted(SOURCES), "The data set to build.", required=True)
flags.DEFINE_string(
    "output",
    None,
    "The folder to write the shards and dataset.json to; a build that was stopped is taken up by the same command.",
    required=True,
)
flags.DEFINE_string(
    "input",
    None,
    "washington: the folder that holds the categories' folders. nyu: the .mat file. sunrgbd: the folder SUNRGBD. tum, "
    "open3d: the folder of a sequence or recording, or one that holds some. folder: the one that the patterns start from. "
    "cifar10: cifar-10-batches-py. tfds: the folder of one version, with dataset_info.json.",
)
flags.DEFINE_string(
    "split",
    None,
    "washington, synthetic: 'category' (the default) tests on other instances than it trains on (washington: one of each "
    "category, those of trial 1 in testinstance_ids.txt, else drawn by the seed); 'instance' trains on videos 1 and 4 "
    "and tests on video 2. nyu, sunrgbd: 'official' (the default), 'all' in training; nyu: 'paper', 1152, 144 and 145 "
    "drawn by the seed. tum, open3d: 'all'. folder: 'all' is for training (the default), or the first 'folder' is "
    "train, val or test.",
)
flags.DEFINE_string(
    "splits_file",
    None,
    "For --split=official. nyu: the toolbox's splits.mat (default: next to the .mat file). sunrgbd: the toolbox's "
    "allsplit.mat (default: in SUNRGBDtoolbox/traintestSUNRGBD in or next to --input).",
)
flags.DEFINE_string(
    "depth",
    None,
    "nyu, sunrgbd: 'filled' (the default) or 'raw', as measured, with holes. folder: the depth images, by a pattern whose "
    "wildcards match the same as those of --rgb (default 'depth/*'; --depth= for colour only).",
)
flags.DEFINE_integer(
    "every",
    None,
    "Keeps the 1st, (N+1)st, (2N+1)st, ... frame. washington: of each video of each instance in frame-number order (5 by "
    "default, as in the paper; 1 for data that is already thinned). tum, open3d, folder: of each sequence (1 by "
    "default).",
    lower_bound=1,
)
flags.DEFINE_string(
    "gravity",
    None,
    "washington: from the 'table' plane, one per video of each instance (the default); the 'nominal' 30, 45 and 60 "
    "degrees of videos 1, 2 and 4; or 'estimate', from each frame only. nyu: from the 'accelerometer' (the default), or "
    "'estimate'. folder, tfds: gx,gy,gz in the camera frame (x right, y down, z forward) of a camera that stands still, or "
    "'unknown' (the default).",
)
flags.DEFINE_float(
    "val_fraction",
    0.0,
    "Fraction of the training data that becomes the split 'val': whole instances where every category can spare one, "
    "else (washington) the last frames of each video of each instance. nyu: whole scenes; sunrgbd: frames drawn by the "
    "seed; tum, open3d, folder: the last frames of each sequence; cifar10: the last.",
    lower_bound=0.0,
    upper_bound=0.9,
)
flags.DEFINE_string(
    "without_depth",
    None,
    "folder: a colour image without a depth image: 'skip' (the default); or 'keep', a frame whose depth is missing "
    "throughout.",
)
flags.DEFINE_string("rgb", None, "folder: the colour images, by a pattern below --input (default 'rgb/*').")
flags.DEFINE_string(
    "camera", None, "folder, tfds: fx,fy,cx,cy in pixels, zero-based pixel centres; read no camera file."
)
flags.DEFINE_string(
    "camera_file", None, "folder, tfds: the camera file (folder: camera.json next to or above each image)."
)
flags.DEFINE_float(
    "units_per_metre", None, "folder, tfds: depth values in a metre (1000 for millimetres), before the camera file's."
)
flags.DEFINE_string(
    "labels",
    None,
    "folder: 'none' (the default); or 'folder', the first wildcard of --rgb names the class (after that of --split=folder).",
)
flags.DEFINE_integer("train_instances", 45, "synthetic: objects of each class to train on.", lower_bound=1)
flags.DEFINE_integer("test_instances", 13, "synthetic: other objects of each class to test on.", lower_bound=0)
flags.DEFINE_integer("frames_per_instance", 4, "synthetic: views of each object, over three videos.", lower_bound=1)
flags.DEFINE_integer(
    "places",
    0,
    "synthetic: cluttered places in which each split's objects are filmed, no place in two splits; 0: one plain background.",
    lower_bound=0,
)
flags.DEFINE_integer("seed", 0, "Decides all that is random, the order of the records included.", lower_bound=0)
flags.DEFINE_integer(
    "workers",
    None,
    "Processes that load and write, each a shard at a time (default: the CPUs this process may use). Decides nothing but "
    "the time it takes.",
    lower_bound=1,
)
flags.DEFINE_bool(
    "strict",
    False,
    "Stops at the first frame that cannot be used; else such frames are left out, counted and listed in skipped.jsonl.",
)


def main() -> None:
    build(FLAGS.workers or len(os.sched_getaffinity(0)))


def build(workers: int, cluster: Callable[[Unfinished, dict], Any] | None = None) -> None:
    """Build the data set that the flags ask for, and print the report.

    Args:
        workers: how many processes of this machine load and write; with a cluster, only load a few frames beforehand.
        cluster: makes, of the build's hidden folder and the source's arguments, what runs the tasks instead of them
            (`tfrecords.builder.build`).

    Raises:
        UserError: as `tfrecords.builder.build` and the source's plan do.
    """
    # A build that is told to end keeps what it can go on from, like one that is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = _arguments(FLAGS.source)
    with Unfinished(FLAGS.output) as unfinished, Pool(workers) as pool:
        plan = SOURCES[FLAGS.source](**arguments)
        source = {"name": FLAGS.source, "arguments": arguments}
        run = cluster and cluster(unfinished, arguments)
        content = builder.build(
            plan, source, seed=arguments["seed"], unfinished=unfinished, pool=pool, strict=FLAGS.strict, run=run
        )
    build_summary.print_report(content, FLAGS.output)


def _arguments(source):
    """The flags that the source's plan has parameters for, else its own defaults; a flag it has no use for is a mistake."""
    wanted = inspect.signature(SOURCES[source]).parameters
    others = {name for plan in SOURCES.values() for name in inspect.signature(plan).parameters} - set(wanted)
    for name in sorted(others):
        if FLAGS[name].present:
            raise UserError(f"`{name}` has no meaning for `source={source}`: leave it out")
    arguments = {
        name: FLAGS[name].value if FLAGS[name].value is not None else parameter.default
        for name, parameter in wanted.items()
    }
    for name, value in arguments.items():
        if value is inspect.Parameter.empty:
            raise UserError(f"`source={source}` needs `{name}`: give it")
    return arguments


if __name__ == "__main__":
    run_command(main)
