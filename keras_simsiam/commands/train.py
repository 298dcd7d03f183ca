"""Trains an encoder without labels: keras-simsiam train --recipe=rgbd --data_dir=data/washington --workdir=runs/rgbd"""

from keras_simsiam.core.command import run_command

import contextlib
import dataclasses
import os
import signal
import sys

from tqdm import tqdm

from keras_simsiam.commands import recipes
from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError, as_called
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.devices import Devices
from keras_simsiam.training.signals import Stopped
from tfrecords.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Recipe(settings.Checked):
    """The flag that stands for those of a published run."""

    recipe: str | None = settings.setting(
        None, f"The flags of a published run: {', '.join(recipes.names())}. Flags after it override its own."
    )

    def __post_init__(self):
        super().__post_init__()
        if self.recipe is not None:  # those of the command line have become their flags
            raise UserError(f"`recipe={self.recipe}` stands in a file of flags: give it on the command line")


@dataclasses.dataclass(frozen=True)
class Settings(Recipe, RunConfig):
    """The command line: a run's configuration, and the recipe that it begins with."""


def define_flags():
    """Called only by the command."""
    settings.define_flags(Settings)


def main():
    """The command."""
    settings.from_flags(Recipe)
    config = settings.from_flags(RunConfig)
    devices = Devices(config.distribution)  # several workers meet here, before anything else of TensorFlow runs
    dataset = Dataset(config.data_dir)
    knn_dataset = Dataset(config.knn_data_dir) if config.knn_data_dir else None
    try:
        with _closing_bars():
            last = run.train(config, dataset, knn_dataset=knn_dataset, devices=devices)
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


def print_summary(config, last):
    """Prints where the run's files are, and what to do next."""
    if last:
        print(", ".join(f"{name} {value:.4g}" for name, value in last.items()))
    summary = f"""{"trained" if last else "already trained"}: {config.epochs} epochs
  encoder      {os.path.join(config.workdir, "encoder.keras")}
  metrics      {os.path.join(config.workdir, "metrics.jsonl")}
  view pairs   {os.path.join(config.workdir, "figures", "views.png")}
  TensorBoard  tensorboard --logdir={config.workdir}
next:
  python evaluate.py --encoder={config.workdir} --data_dir={config.data_dir} --task=knn,linear
  python -m export.encoder --workdir={config.workdir} --output=serving/{os.path.basename(config.workdir)}"""
    print(as_called(summary))


if __name__ == "__main__":
    run_command(main, define_flags, expand=recipes.expand)
