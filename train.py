"""Trains an encoder without labels: python train.py --flagfile=rgbd.flags --data_dir=data/washington --workdir=runs/rgbd"""

from keras_simsiam.core.command import run_command

import contextlib
import dataclasses
import functools
import os
import signal
import sys

from absl import flags
from tqdm import tqdm

from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import holes
from keras_simsiam.depth.hha import ENCODINGS
from keras_simsiam.methods.build import METHODS
from keras_simsiam.models.encoder import FUSIONS, MODALITIES
from keras_simsiam.models.resnet import BACKBONES, STEMS
from keras_simsiam.optimization.optimizers import DECAYS, OPTIMIZERS
from keras_simsiam.optimization.schedules import STEPS
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.devices import DISTRIBUTIONS, PRECISIONS, Devices
from keras_simsiam.training.rules import POSITIVES
from keras_simsiam.training.signals import Stopped
from keras_simsiam.views import cache
from tfrecords import corrupt_shards, reader, workers

BANK_FRAMES = 2000  # what the kNN monitor looks at, of each split: enough to see a trend, and quick

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
    list(POSITIVES),
    help="What is paired: two views of a frame; of it and the next of its recording; one's colour, the other's depth; "
    "the views' colours, and apart from them their depths.",
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
    list(PRECISIONS),
    help="Precision of the arithmetic; weights, statistics, losses stay float32. float16 scales the loss and needs a GPU.",
)
_define(
    flags.DEFINE_enum,
    "distribution",
    list(DISTRIBUTIONS),
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
    help="The most that caches, or what simsiam_average or --positives=neighbour keep, may take, in GB; more is refused.",
)
_define(
    flags.DEFINE_enum,
    "on_corrupt",
    ["fail", "skip"],
    help="A damaged shard ends the run, or is read up to the damage and the rest of it left out.",
)
_define(flags.DEFINE_integer, "seed", help="Seed of weights, order and augmentation.")
flags.mark_flags_as_required(["data_dir", "workdir"])


def main():
    values = flags.FLAGS.flag_values_dict()
    config = RunConfig(**{field.name: values[field.name] for field in dataclasses.fields(RunConfig)})
    devices = Devices(config.distribution)  # several workers meet here, before anything else of TensorFlow runs
    info = load_info(config)
    knn_info = load_knn_info(config, info)
    try:
        with _naming_faults(info), _naming_faults(knn_info), _closing_bars():
            last = run.train(config, load_data(config, info, knn_info, devices), devices=devices)
    except Stopped as stopped:
        print(f"{stopped}; the same command goes on from there", file=sys.stderr)
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        print(f"interrupted; the same command resumes {config.workdir} from its last checkpoint", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    if devices.is_chief:
        print_summary(config, last)


@contextlib.contextmanager
def _closing_bars():
    """Closes the progress bar where an error leaves it open: it would be drawn over the error's line."""
    try:
        yield
    finally:
        for bar in list(tqdm._instances):
            bar.close()


def _naming_faults(info):
    return corrupt_shards.named(info, ("train", held_out(info)))


def load_info(config):
    """What is known of the data set that the run reads, of which --on_corrupt=skip leaves out what is damaged."""
    info = reader.load(config.data_dir)
    if not info.has_depth and config.modality != "rgb":
        raise UserError(f"--modality={config.modality}: {config.data_dir} has no depth; use --modality=rgb")
    unlabelled = info.splits["train"].unlabelled if "train" in info.splits else 0
    if unlabelled and config.method == "supervised":
        raise UserError(
            f"--method=supervised: {unlabelled} training frames of {config.data_dir} have no label; leave them out"
        )
    return corrupt_shards.leave_out(info, ("train", held_out(info))) if config.on_corrupt == "skip" else info


def load_knn_info(config, info):
    """The data set of the kNN monitor: that of --knn_data_dir, which must do for kNN, or the run's own."""
    if not config.knn_data_dir:
        return info
    flag, found = f"--knn_data_dir={config.knn_data_dir}", reader.load(config.knn_data_dir)
    if not found.has_depth and config.modality != "rgb":
        raise UserError(f"{flag} has no depth, which --modality={config.modality} looks at: give a data set with depth")
    if not found.classes:
        raise UserError(f"{flag} has no labels, by which kNN judges: give a labelled data set")
    if not {"train", held_out(found)} <= set(found.splits):
        raise UserError(f"{flag} has the splits {', '.join(found.splits)}: kNN needs train, and val or test")
    if not _for_knn(found):
        raise UserError(f"{flag} has a split without any label, by which kNN judges: give a labelled data set")
    return corrupt_shards.leave_out(found, ("train", held_out(found))) if config.on_corrupt == "skip" else found


def held_out(info):
    """The split that the kNN monitor compares to the training split: val, or test where there is none."""
    return "val" if "val" in info.splits else "test"


def load_data(config, info, knn_info, devices):
    """The run's data: the shards of --data_dir, or this worker's part of them; for kNN, those of --knn_data_dir."""
    place, count = devices.worker, info.splits["train"].count
    own = workers.share(info, "train", place)
    data = run.Data(
        reader.records(own, "train"),
        reader.decode(own),
        count,
        record_bytes=reader.record_bytes(info, "train"),
        first_index=workers.start(count, place.input_pipeline_id, place.num_input_pipelines),
        cache=functools.partial(_cached, config, info),
    )
    if not _for_knn(knn_info):
        return data
    bank, queries = (
        reader.samples(knn_info, split).filter(lambda sample: sample["label"] >= 0).take(BANK_FRAMES)
        for split in ("train", held_out(knn_info))
    )
    return dataclasses.replace(
        data,
        bank=bank,
        queries=queries,
        num_classes=len(info.classes),
        choose_best=held_out(knn_info) == "val",
        bank_classes=knn_info.classes,
    )


def _for_knn(info):
    """Whether some frames have labels, both to train on and held out."""
    splits = [info.splits.get(name) for name in ("train", held_out(info))]
    return bool(info.classes) and all(split and split.unlabelled < split.count for split in splits)


def _cached(config, info, records, decode):
    """The training records and the function that decodes them, or what stands for both where --cache says so."""
    if config.cache == "memory":
        return cache.in_memory(records, decode, config.preprocessing, config.cache_gb)
    if config.cache == "disk":
        count, identity = info.splits["train"].count, reader.identity(info, "train")
        folder = cache.default_folder()
        return cache.on_disk(records, decode, count, config.preprocessing, config.cache_gb, folder, identity)
    return records, decode


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
    run_command(main)
