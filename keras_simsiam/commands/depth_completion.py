"""Trains a completion of depth for --holes=learned: python -m tools.depth_completion --data_dir=data/nyu --output=models"""

from keras_simsiam.core.command import run_command

import numpy as np
from absl import flags

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense import depth_completion
from keras_simsiam.depth import completion
from tfrecords.dataset import Dataset

FLAGS = flags.FLAGS


def define_flags():
    """Called only by the command."""
    flags.DEFINE_string("data_dir", None, "Data set with windows of complete depth to learn from.", required=True)
    flags.DEFINE_string("holes_dir", None, "Data set whose holes are punched into them (default: data_dir).")
    flags.DEFINE_string(
        "output", None, "Folder to write completion-….npz into, named after its content.", required=True
    )
    flags.DEFINE_string("split", "train", "The split of both that is learnt from.")
    flags.DEFINE_integer("frames", 1000, "At most so many frames of each, drawn.", lower_bound=2)
    flags.DEFINE_integer("steps", 4000, "Steps of training, of 16 windows.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Draws weights, frames, windows and holes.", lower_bound=0)


def main():
    """The command."""
    frames = _frames(FLAGS.data_dir, "data_dir")
    masks = [depth for depth, _ in _frames(FLAGS.holes_dir, "holes_dir")] if FLAGS.holes_dir else [d for d, _ in frames]
    print(
        f"learning from {len(frames)} frames of {FLAGS.data_dir}, {FLAGS.split}, by holes of {len(masks)}", flush=True
    )
    trained = depth_completion.train(frames, masks, steps=FLAGS.steps, seed=FLAGS.seed, source=FLAGS.data_dir)
    path = completion.save(trained.weights, FLAGS.output)
    print("mean absolute error of log depth in holes of frames not learnt from:")
    for name, error in trained.errors.items():
        print(f"  {name:8} {error:.4f}")
    print(f"written: {path}\nto use it: --holes=learned --holes_model={path}")


def _frames(folder, flag):
    """Depth and colour of frames of a data set, in its order."""
    data = Dataset(folder)
    if not data.has_depth:
        raise UserError(f"--{flag}={folder} has no depth: give a data set that has")
    count = data.split(FLAGS.split).count
    chosen = np.zeros(count, bool)
    chosen[np.random.default_rng(FLAGS.seed).permutation(count)[: FLAGS.frames]] = True
    samples = data.samples(FLAGS.split)
    return [
        (np.where(np.isfinite(sample["depth"]) & (sample["depth"] > 0), sample["depth"], 0), sample["rgb"])
        for sample, taken in zip(samples.as_numpy_iterator(), chosen, strict=False)
        if taken
    ]


if __name__ == "__main__":
    run_command(main, define_flags)
