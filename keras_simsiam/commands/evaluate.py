"""Evaluates a trained encoder, beside an untrained encoder and chance: kNN, linear probes and more (--task).

python evaluate.py --encoder=runs/rgbd --data_dir=data/washington --task=knn,linear
"""

from keras_simsiam.core.command import run_command

import dataclasses
import functools
from pathlib import Path

from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import REQUIRED, Checked, from_flags, part, setting
from keras_simsiam.evaluation import evaluate as engine
from keras_simsiam.evaluation import tables
from keras_simsiam.evaluation.encoders import source
from tfrecords.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Inputs(Checked):
    """The encoder that is evaluated, and the data set that it is evaluated on."""

    encoder: str = setting(
        REQUIRED, "Run directory to evaluate; or a .keras file; a folder that export.encoder wrote; random; imagenet."
    )
    data_dir: str = setting(REQUIRED, "Labelled data set, as tfrecords.build wrote it.")


@dataclasses.dataclass(frozen=True)
class Settings(engine.Settings, Inputs):
    """The command line: what is evaluated, and the settings of the evaluation and of all tasks."""


def default_output(encoder):
    """The folder of the results where --output names none.

    Args:
        encoder: an `EncoderSource`.

    Raises:
        UserError: there is no run directory, and no .keras file to put it next to.
    """
    if encoder.kind not in (source.RUN, source.FILE):
        raise UserError(f"--encoder={encoder.name} has no run directory for the results: name a folder by --output")
    if encoder.name == encoder.workdir:
        return str(Path(encoder.workdir) / "evaluation")
    return str(Path(encoder.file).parent / f"evaluation_{Path(encoder.file).stem}")


def define_flags():
    """Called only by the command."""
    settings.define_flags(Settings)


def main():
    """The command."""
    given = from_flags(Settings)
    encoder = source.resolve(given.encoder, part(given, source.Network))
    chosen = dataclasses.replace(part(given, engine.Settings), output=given.output or default_output(encoder))
    progress = functools.partial(print, flush=True)
    dataset = Dataset(given.data_dir)
    if dataset.depth_origin:
        progress(f"depth: {dataset.depth_origin}")
    results = engine.evaluate(encoder, dataset, progress=progress, **vars(chosen))
    print(tables.of_results(results))
    print(tables.written(results))


if __name__ == "__main__":
    run_command(main, define_flags)
