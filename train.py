"""Trains an encoder without labels: python train.py --flagfile=rgbd.flags --data_dir=data/washington --workdir=runs/rgbd"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow loads: its start-up lines bury ours

import contextlib
import dataclasses
import signal
import sys

from absl import app, flags
from tqdm import tqdm

from keras_simsiam.core.errors import UserError, exit_on_user_error, parse_flags
from keras_simsiam.depth import holes
from keras_simsiam.depth.hha import ENCODINGS
from keras_simsiam.methods.build import METHODS
from keras_simsiam.models.encoder import FUSIONS, MODALITIES
from keras_simsiam.models.resnet import BACKBONES, STEMS
from keras_simsiam.optimization.optimizers import DECAYS, OPTIMIZERS
from keras_simsiam.optimization.schedules import STEPS
from keras_simsiam.training import devices, run
from keras_simsiam.training.config import EARLIER_POSITIVES, RunConfig
from keras_simsiam.training.rules import COMPARED, POSITIVES
from keras_simsiam.training.signals import Stopped
from tfrecords import Dataset

DEFAULTS = RunConfig(data_dir="", workdir="")


def _define(kind, name, *values, help):
    kind(name, getattr(DEFAULTS, name), *values, help)


flags.DEFINE_string(
    "data_dir", None, "Folder of the data set: shards and dataset.json, as tfrecords.build writes them."
)
flags.DEFINE_string("workdir", None, "Folder of the run; the same command on the same folder resumes it.")
_define(flags.DEFINE_enum, "modality", list(MODALITIES), help="What the encoder sees: colour, depth as HHA, or both.")
_define(
    flags.DEFINE_enum,
    "fusion",
    list(FUSIONS),
    help="Colour and depth: a backbone each, stacked channels, or one backbone.",
)
_define(
    flags.DEFINE_bool, "depth_gate", help="Weigh depth's features by the share of a view's depth that was measured."
)
_define(
    flags.DEFINE_enum,
    "positives",
    [*POSITIVES, *EARLIER_POSITIVES],
    help="What is paired: two views of a frame, or of it and the next frame of its recording. Earlier values: neighbour "
    "is next_frame; for cross_modal and intra_modal see --compare.",
)
_define(
    flags.DEFINE_enum,
    "compare",
    list(COMPARED),
    help="What is compared of a pair: the joint embeddings; one view's colour with the other's depth; colours with "
    "colours, and apart from them depths with depths.",
)
_define(flags.DEFINE_enum, "hha_encoding", list(ENCODINGS), help="Gupta's HHA, or the simpler one of the RGB-D paper.")
_define(
    flags.DEFINE_enum,
    "holes",
    list(holes.CHOICES),
    help="Missing depth: as published, a mask channel, a neutral value, or filled by the nearest or smoothly.",
)
_define(flags.DEFINE_bool, "hha_color", help="Colour jitter and grayscale on HHA too, with the draws of RGB.")
_define(flags.DEFINE_bool, "hha_jitter", help="Random gain and offset of each HHA channel, per view.")
_define(flags.DEFINE_float, "hha_dropout", help="Probability that a view's HHA is replaced by its middle value.")
_define(
    flags.DEFINE_float,
    "depth_faults",
    help="Probability that a view's depth gets a sensor's faults before HHA: shadows, steps of disparity, holes.",
)
_define(flags.DEFINE_float, "gravity_jitter", help="Degrees by which gravity is turned at most before HHA, per view.")
_define(flags.DEFINE_integer, "image_size", help="Side of a view in pixels.")
_define(flags.DEFINE_float, "min_crop", help="Smallest area of a random crop, as a share of the frame.")
_define(flags.DEFINE_enum, "backbone", list(BACKBONES), help="The ResNet of each modality's tower.")
_define(flags.DEFINE_enum, "stem", list(STEMS), help="imagenet: 7x7 stride 2 and max-pool; cifar: 3x3 stride 1.")
_define(flags.DEFINE_integer, "width", help="Channels of the backbone's first stage (64 in the paper).")
_define(flags.DEFINE_bool, "zero_init_last", help="Start the scale of each residual block's last BatchNorm at zero.")
_define(flags.DEFINE_integer, "projector_layers", help="Layers of the projection head (CIFAR-10 runs of the paper: 2).")
_define(flags.DEFINE_bool, "head_batch_norm", help="BatchNorm in projector and predictor, as SimSiam has it.")
_define(flags.DEFINE_float, "head_dropout", help="Dropout rate after each ReLU of projector and predictor.")
_define(flags.DEFINE_enum, "method", list(METHODS), help="SimSiam, a rival of it, or supervised pre-training.")
_define(flags.DEFINE_bool, "symmetric", help="SimSiam: both views predict each other; false: the first the second.")
_define(flags.DEFINE_integer, "queue_size", help="MoCo v2: the number of keys of earlier batches that are kept.")
_define(flags.DEFINE_bool, "stop_gradient", help="Stop-gradient on the other view's projection; false collapses.")
_define(
    flags.DEFINE_integer, "alternation", help="SimSiam: steps for which the weights that make the targets stand still."
)
_define(flags.DEFINE_integer, "batch_size", help="Samples in a step, over all devices.")
_define(flags.DEFINE_integer, "epochs", help="Passes over the training split.")
_define(flags.DEFINE_float, "base_lr", help="Learning rate of a batch of 256; it scales with the batch.")
_define(flags.DEFINE_float, "weight_decay", help="L2, added to the gradient as PyTorch does; --decay says on what.")
_define(
    flags.DEFINE_string, "predictor_lr", help="The predictor's learning rate: cosine, fixed, or a factor of the rest's."
)
_define(flags.DEFINE_enum, "optimizer", list(OPTIMIZERS), help="PyTorch's SGD, or LARS, for batches of thousands.")
_define(flags.DEFINE_enum, "decay", list(DECAYS), help="L2 on all parameters, or on none of BatchNorm's and no biases.")
_define(flags.DEFINE_float, "warmup_epochs", help="Epochs in which the learning rate rises from zero, step by step.")
_define(flags.DEFINE_enum, "cosine_per", list(STEPS), help="The learning rate falls once an epoch, or at every step.")
_define(flags.DEFINE_float, "blur", help="Probability that a view's colour is blurred, by a sigma of 0.1 to 2 pixels.")
_define(
    flags.DEFINE_enum,
    "precision",
    list(devices.PRECISIONS),
    help="Precision of the arithmetic; weights, statistics, losses stay float32. float16 scales the loss and needs a GPU.",
)
_define(
    flags.DEFINE_enum,
    "distribution",
    list(devices.DISTRIBUTIONS),
    help="One device, all of this machine, or those of all machines that TF_CONFIG names.",
)
_define(flags.DEFINE_bool, "jit_compile", help="Compile the train step with XLA, for one device; slower on most CPUs.")
_define(flags.DEFINE_integer, "knn_every", help="Epochs between two kNN measurements, and view grids, while training.")
_define(
    flags.DEFINE_string,
    "knn_data_dir",
    help="Another, labelled data set for kNN: bank of its train split, queries of its val or test; default: --data_dir.",
)
_define(flags.DEFINE_integer, "knn_k", help="Neighbours of the kNN measurement while training.")
_define(flags.DEFINE_integer, "checkpoint_steps", help="Steps of an epoch between two checkpoints; 0: only at its end.")
_define(flags.DEFINE_integer, "shuffle_mb", help="Memory of the shuffle, in MiB of undecoded records.")
_define(
    flags.DEFINE_enum,
    "cache",
    ["none", "memory", "disk"],
    help="Where frames are kept once they are decoded and have their HHA; views are the same with and without.",
)
_define(
    flags.DEFINE_float,
    "cache_gb",
    help="The most that caches, or what simsiam_average or --positives=next_frame keep, may take, in GB; more is refused.",
)
_define(
    flags.DEFINE_enum,
    "on_corrupt",
    ["fail", "skip"],
    help="A damaged shard ends the run, or is read up to the damage and the rest of it left out.",
)
_define(flags.DEFINE_integer, "seed", help="Seed of weights, order and augmentation.")
flags.mark_flags_as_required(["data_dir", "workdir"])


@exit_on_user_error
def main(argv):
    if argv[1:]:
        raise UserError(f"{argv[1]}: not a flag; flags begin with --")
    values = flags.FLAGS.flag_values_dict()
    config = RunConfig(**{field.name: values[field.name] for field in dataclasses.fields(RunConfig)})
    devices.strategy(config.distribution)  # several workers meet here, before anything else of TensorFlow runs
    dataset = Dataset(config.data_dir)
    knn_dataset = Dataset(config.knn_data_dir) if config.knn_data_dir else None
    try:
        with _closing_bars():
            last = run.train_on(config, dataset, knn_dataset=knn_dataset)
    except Stopped as stopped:
        print(f"{stopped}; the same command goes on from there", file=sys.stderr)
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        print(f"interrupted; the same command resumes {config.workdir} from its last checkpoint", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    if devices.is_chief(config.distribution):
        print_summary(config, last)


@contextlib.contextmanager
def _closing_bars():
    """Closes the progress bar where an error leaves it open: it would be drawn over the error's line."""
    try:
        yield
    finally:
        for bar in list(tqdm._instances):
            bar.close()


def print_summary(config, last):
    if last:
        print(", ".join(f"{name} {value:.4g}" for name, value in last.items()))
    print(
        f"""{"trained" if last else "already trained"}: {config.epochs} epochs
  encoder      {os.path.join(config.workdir, "encoder.keras")}
  metrics      {os.path.join(config.workdir, "metrics.jsonl")}
  view pairs   {os.path.join(config.workdir, "figures", "views.png")}
  TensorBoard  tensorboard --logdir={config.workdir}
next:
  python evaluate.py --encoder={config.workdir} --data_dir={config.data_dir} --task=knn,linear
  python -m export.encoder --workdir={config.workdir} --output=serving/{os.path.basename(config.workdir)}"""
    )


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
