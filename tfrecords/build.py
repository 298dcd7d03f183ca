"""The command that builds a data set: python -m tfrecords.build --source=... --output=..."""

import inspect
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

# At 2, TensorFlow still reports CUDA libraries that register twice, on every machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # an unreadable image is reported by our own line

import numpy as np
from absl import app, flags
from tqdm import tqdm

from keras_simsiam.errors import UserError, exit_on_user_error
from tfrecords.sources import cifar10, folder, synthetic, tfds, washington
from tfrecords.writer import Writer

SOURCES = {
    "cifar10": cifar10.plan,
    "folder": folder.plan,
    "synthetic": synthetic.plan,
    "tfds": tfds.plan,
    "washington": washington.plan,
}

# Each loaded frame waits in memory for its turn: enough to keep the threads busy, whatever a frame's size.
_CHUNK = 64

FLAGS = flags.FLAGS
flags.DEFINE_enum("source", None, sorted(SOURCES), "The data set to build.", required=True)
flags.DEFINE_string("output", None, "The folder to write the shards and dataset.json to.", required=True)
flags.DEFINE_string("input", None, "The data set's folder; docs/datasets.md says which, for each source.")
flags.DEFINE_string(
    "split",
    None,
    "washington, synthetic: 'category' (the default) tests on other instances than it trains on (washington: one of each "
    "category, those of trial 1 in testinstance_ids.txt, else drawn by the seed); 'instance' trains on videos 1 and 4 "
    "and tests on video 2. folder: 'all' is for training (the default), or the first 'folder' is train, val or test.",
)
flags.DEFINE_integer(
    "every",
    None,
    "washington, folder: keeps the 1st, (N+1)st, (2N+1)st, ... frame of each recording in frame-number order. Default: "
    "washington 5, as in the paper (1 for data that is already thinned); folder 1.",
    lower_bound=1,
)
flags.DEFINE_string(
    "gravity",
    None,
    "washington: from the 'table' plane, one per video of each instance (the default); the 'nominal' 30, 45 and 60 "
    "degrees of videos 1, 2 and 4; or 'estimate', from each frame alone. folder, tfds: gx,gy,gz in the camera frame (x "
    "right, y down, z forward) of a camera that stands still, or 'unknown' (the default).",
)
flags.DEFINE_float(
    "val_fraction",
    0.0,
    "Fraction of the training data that becomes the split 'val': whole instances where every category can spare one, "
    "else (washington) the last frames of each video of each instance. folder, cifar10: the last of each recording.",
    lower_bound=0.0,
    upper_bound=0.9,
)
flags.DEFINE_string("rgb", None, "folder: the colour images, by a pattern below --input (default 'rgb/*').")
flags.DEFINE_string(
    "depth",
    None,
    "folder: the depth images, by a pattern whose wildcards match the same as those of --rgb (default 'depth/*'; "
    "--depth= for colour only).",
)
flags.DEFINE_string(
    "camera", None, "folder, tfds: fx,fy,cx,cy in pixels, zero-based pixel centres; read no camera file."
)
flags.DEFINE_string(
    "camera_file", None, "folder, tfds: the camera file (folder: camera.json beside or above each image)."
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
flags.DEFINE_integer("seed", 0, "Decides all that is random, the order of the records included.", lower_bound=0)


@exit_on_user_error
def main(argv):
    if argv[1:]:
        raise UserError(f"'{argv[1]}' is not a flag: write it as --name=value")
    # A build that is told to end cleans up like one that is interrupted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = _arguments(FLAGS.source)
    with Writer(FLAGS.output) as writer:
        plan = SOURCES[FLAGS.source](**arguments)
        _write(plan, writer, arguments["seed"])
        content = writer.commit(
            {
                "source": {"name": FLAGS.source, "arguments": arguments},
                "classes": list(plan.classes),
                "instances": list(plan.instances),
                "gravity": plan.gravity,
                "excluded": plan.excluded,
            }
        )
    _print_summary(content, FLAGS.output)


def _arguments(source):
    """The flags that the source's plan has parameters for, else its own defaults; a flag it has no use for is a mistake."""
    wanted = inspect.signature(SOURCES[source]).parameters
    others = {name for plan in SOURCES.values() for name in inspect.signature(plan).parameters} - set(wanted)
    for name in sorted(others):
        if FLAGS[name].present:
            raise UserError(f"--{name} has no meaning for --source={source}: leave it out")
    arguments = {
        name: FLAGS[name].value if FLAGS[name].value is not None else parameter.default
        for name, parameter in wanted.items()
    }
    for name, value in arguments.items():
        if value is inspect.Parameter.empty:
            raise UserError(f"--source={source} needs --{name}: give it")
    return arguments


def _write(plan, writer, seed):
    random = np.random.default_rng(seed)
    total = sum(len(references) for references in plan.splits.values())
    with ThreadPoolExecutor() as pool, tqdm(total=total, unit="frame", desc="building", disable=None) as progress:
        for split, references in plan.splits.items():
            # Mixed on disk, so that a reader's shuffle buffer need not hold whole sequences of near-equal frames.
            order = random.permutation(len(references))
            for start in range(0, len(order), _CHUNK):
                chunk = [references[index] for index in order[start : start + _CHUNK]]
                for frame in pool.map(plan.load, chunk):
                    writer.add(split, frame)
                    progress.update()


def _print_summary(content, output):
    splits = ", ".join(f"{name} {split['count']}" for name, split in content["splits"].items())
    print(f"frames: {splits}")
    print(f"classes: {len(content['classes'])} ({', '.join(content['classes'])})")
    print(f"instances: {len(content['instances'])}")
    print(f"gravity: {content['gravity']['mode']}")
    for origin, count in content["gravity"].get("sequences", {}).items():
        print(f"gravity {origin}: {count} videos")
    for reason, count in content["excluded"].items():
        print(f"excluded: {count} {reason}")
    print(f"written to: {output}")


if __name__ == "__main__":
    app.run(main)
