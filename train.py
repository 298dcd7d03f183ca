"""Trains an encoder without labels: python train.py --flagfile=rgbd.flags --data_dir=data/washington --workdir=runs/rgbd"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow loads: its start-up lines bury ours

import contextlib
import signal
import sys

from absl import app
from tqdm import tqdm

from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError, exit_on_user_error, parse_flags
from keras_simsiam.training import devices, run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.signals import Stopped
from tfrecords import Dataset

settings.define_flags(RunConfig)


@exit_on_user_error
def main(argv):
    if argv[1:]:
        raise UserError(f"{argv[1]}: not a flag; flags begin with --")
    config = settings.from_flags(RunConfig)
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
