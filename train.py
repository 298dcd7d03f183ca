"""Trains an encoder without labels: python train.py --flagfile=rgbd.flags --data_dir=data/washington --workdir=runs/rgbd"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow loads: its start-up lines bury ours

import contextlib
import dataclasses
import functools
import signal
import sys

from absl import app
from tqdm import tqdm

from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError, exit_on_user_error, parse_flags
from keras_simsiam.training import devices, run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.signals import Stopped
from keras_simsiam.views import cache
from tfrecords import corrupt_shards, reader, workers

BANK_FRAMES = 2000  # what the kNN monitor looks at, of each split: enough to see a trend, and quick

settings.define_flags(RunConfig)


@exit_on_user_error
def main(argv):
    if argv[1:]:
        raise UserError(f"{argv[1]}: not a flag; flags begin with --")
    config = settings.from_flags(RunConfig)
    devices.strategy(config.distribution)  # several workers meet here, before anything else of TensorFlow runs
    info = load_info(config)
    knn_info = load_knn_info(config, info)
    try:
        with _naming_faults(info), _naming_faults(knn_info), _closing_bars():
            last = run.train(config, load_data(config, info, knn_info))
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


def load_data(config, info, knn_info):
    """The run's data: the shards of --data_dir, or this worker's part of them; for kNN, those of --knn_data_dir."""
    place = devices.worker(config.distribution)
    own, count = workers.share(info, "train", place), info.splits["train"].count
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
    app.run(main, flags_parser=parse_flags)
