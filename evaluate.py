"""Evaluates a trained encoder, beside an untrained encoder and chance: kNN, linear probes and more (--task).

python evaluate.py --encoder=runs/rgbd --data_dir=data/washington --task=knn,linear
"""

from keras_simsiam.core.command import run_command

import dataclasses
import functools
import json
import os
from pathlib import Path

import numpy as np
import sklearn
import tensorflow as tf
from absl import flags

import keras_simsiam
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import decoder, depth_training
from keras_simsiam.evaluation import feature_store, tables
from keras_simsiam.evaluation.data import VALIDATION, Data
from keras_simsiam.evaluation.encoders import resolve, saved_model
from keras_simsiam.evaluation.tasks import (
    embedding_map,
    finetune,
    knn,
    label_fraction,
    linear,
    monodepth,
    neighbours,
    pose,
    robustness,
)
from keras_simsiam.models.encoder import MODALITIES
from keras_simsiam.models.resnet import BACKBONES
from keras_simsiam.training import run
from tfrecords import corrupt_shards, reader


@dataclasses.dataclass(frozen=True)
class Settings:
    """The command line; each field is the flag of its name."""

    encoder: str
    data_dir: str
    task: tuple[str, ...]
    split: str
    train_split: str
    batch_size: int
    output: str
    on_corrupt: str = "fail"
    seed: int = 0
    modality: str = "rgb"
    backbone: str = "resnet18"
    image_size: int = 224
    feature_cache: str | None = None
    feature_cache_gb: float = 20.0
    # of --task=knn
    knn_k: int = 20
    knn_temperature: float = 0.1
    # of --task=label_fraction and finetune
    label_fractions: tuple[float, ...] = (0.01, 0.1, 0.2, 0.5, 1.0)
    labels_per_class: tuple[int, ...] = (1, 5, 10)
    draws: int = 3
    finetune_fractions: tuple[float, ...] = (0.1,)
    finetune_epochs: int = 60
    finetune_lr: tuple[float, ...] = (0.05, 0.5)
    cache_gb: float = 8.0
    # of --task=neighbours
    neighbour_queries: int = 8
    # depth
    depth_strategy: tuple[str, ...] = ("probe",)
    depth_decoder: str = "blocks"
    depth_trials: int = 5
    depth_epochs: int = 70
    depth_batch_size: int = 64
    depth_lr: float = 1e-4

    @property
    def monodepth(self):
        """The settings of --task=monodepth."""
        given = depth_training.Settings(self.depth_decoder, self.depth_epochs, self.depth_batch_size, self.depth_lr)
        return {"strategies": self.depth_strategy, "trials": self.depth_trials, "seed": self.seed, "settings": given}

    @property
    def network(self):
        """What --encoder=random is."""
        return resolve.Network(self.modality, self.backbone, self.image_size, self.seed)


# A task's module (keras_simsiam.evaluation.tasks), and its settings out of these.
TASKS = {
    # all labels
    "knn": (knn, lambda given: {"k": given.knn_k, "temperature": given.knn_temperature}),
    "linear": (linear, lambda given: {}),
    "linear_sgd": (linear, lambda given: {"recipe": "sgd", "seed": given.seed}),
    "linear_lars": (linear, lambda given: {"recipe": "lars", "seed": given.seed}),
    # few labels
    "label_fraction": (
        label_fraction,
        lambda given: {
            "fractions": given.label_fractions,
            "per_class": given.labels_per_class,
            "number": given.draws,
            "k": given.knn_k,
            "temperature": given.knn_temperature,
            "seed": given.seed,
        },
    ),
    "finetune": (
        finetune,
        lambda given: {
            "fractions": given.finetune_fractions,
            "number": given.draws,
            "epochs": given.finetune_epochs,
            "rates": given.finetune_lr,
            "cache_gb": given.cache_gb,
            "seed": given.seed,
        },
    ),
    # pictures of the embedding
    "neighbours": (neighbours, lambda given: {"queries": given.neighbour_queries, "seed": given.seed}),
    "embedding_map": (embedding_map, lambda given: {"seed": given.seed}),
    "pose": (pose, lambda given: {"seed": given.seed}),
    "robustness": (robustness, lambda given: {"k": given.knn_k, "temperature": given.knn_temperature}),
    # depth
    "monodepth": (monodepth, lambda given: given.monodepth),
}
# those that choose an epoch on the split `val`, where there is one
CHOOSING = ("finetune", "monodepth")


def evaluate(settings):
    """Runs the tasks, prints what they found, and writes results.json beside their figures.

    Args:
        settings: Settings.

    Returns:
        The content of results.json: each task's results by its name, and what is needed to repeat them.

    Raises:
        UserError: the settings, the encoder and the data set do not go together; the output cannot be written.
    """
    if not settings.task or not set(settings.task) <= set(TASKS):
        raise UserError(f"--task={','.join(settings.task)}: the tasks are {', '.join(TASKS)}")
    info = reader.load(settings.data_dir)
    subject = resolve.subject(settings.encoder, settings.network)
    chooses = (VALIDATION,) if set(CHOOSING) & set(settings.task) else ()
    read = (settings.train_split, settings.split, *chooses)
    info = corrupt_shards.leave_out(info, read) if settings.on_corrupt == "skip" else info
    _check(settings, subject, info)
    data = _data(settings, info)
    tasks = {name: (TASKS[name][0], TASKS[name][1](settings)) for name in settings.task}
    for task, given in tasks.values():
        task.check(subject, data, **given)
    with files.merged_into(settings.output, f"--output={settings.output}") as partial:
        with corrupt_shards.named(info, read):
            found = {name: task.run(subject, data, partial, **given) for name, (task, given) in tasks.items()}
        subject.require_unchanged()
        results = found | _provenance(settings, subject, data)
        (partial / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(tables.of_tasks(found, info.classes, subject.names[0]))
    written = ["results.json", *(file for result in found.values() for file in result["files"])]
    print("written: " + ", ".join(os.path.join(settings.output, file) for file in written))
    return results


def _data(settings, info):
    return Data(
        info,
        settings.train_split,
        settings.split,
        functools.partial(reader.samples, info),
        functools.partial(reader.identity, info),
        feature_store.Store(settings.feature_cache or feature_store.default_folder(), settings.feature_cache_gb),
        settings.batch_size,
    )


def _check(settings, subject, info):
    """Refuses what no task could be run on, before anything is computed."""
    if not 0 <= settings.seed < 1 << 32:
        raise UserError(f"--seed={settings.seed}: must be at least 0 and below 2**32")
    if settings.batch_size < 1:
        raise UserError(f"--batch_size={settings.batch_size} must be positive")
    for split in (settings.train_split, settings.split):
        reader.get_split(info, split)
    if settings.split == settings.train_split:
        raise UserError(f"--split and --train_split are both {settings.split}: a probe must not see its test samples")
    modality = subject.preprocessing.modality
    if modality != "rgb" and not info.has_depth:
        raise UserError(f"{settings.encoder} is an encoder of {modality}, but {info.path} has no depth")


def _provenance(settings, subject, data):
    """What one needs to know to repeat the numbers."""
    return {
        "settings": dataclasses.asdict(settings),
        "encoder": {"source": subject.source, "sha256": subject.sha256, "seed": subject.seed}
        | dataclasses.asdict(subject.preprocessing),
        "data": {"path": data.info.path, "sha256": reader.checksum(data.info), "classes": list(data.info.classes)},
        "samples": {split: data.info.splits[split].count for split in (data.train, data.test)},
        "versions": versions(),
    }


def versions():
    """The versions that a number depends on, by package."""
    return {module.__name__: module.__version__ for module in (keras_simsiam, tf, np, sklearn)}


def _default_output(encoder):
    if encoder in (resolve.RANDOM, resolve.IMAGENET) or saved_model.is_saved_model(encoder):
        raise UserError(f"--encoder={encoder} has no run directory for the results: name a folder by --output")
    workdir, path = run.encoder_file(encoder)
    return str(Path(workdir) / ("evaluation" if encoder == workdir else f"evaluation_{Path(path).stem}"))


def define_flags():
    """Called by the command alone, so that a program can import this module beside others that have the same flags."""
    flags.DEFINE_string(
        "encoder",
        None,
        "Run directory to evaluate; or a .keras file; a folder that export.encoder wrote; random; imagenet.",
        required=True,
    )
    flags.DEFINE_string("data_dir", None, "Labelled data set, as tfrecords.build wrote it.", required=True)
    flags.DEFINE_list("task", ["knn", "linear"], f"Tasks to run, separated by commas: {', '.join(TASKS)}.")
    flags.DEFINE_string("split", "test", "Split on which is measured.")
    flags.DEFINE_string(
        "train_split", "train", "Split that a task learns from: kNN's bank, the linear probe's samples."
    )
    flags.DEFINE_integer("batch_size", 64, "Images embedded at a time; changes speed and memory, not the result.")
    flags.DEFINE_enum(
        "on_corrupt", "fail", ["fail", "skip"], "A damaged shard ends the command, or the rest of it is left out."
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder of the results; by default evaluation in the run directory, evaluation_<file> beside a .keras file. Needed "
        "where --encoder is something else.",
    )
    _define(flags.DEFINE_integer, "seed", help="Seed of what a task draws, and of --encoder=random.")
    _define(flags.DEFINE_enum, "modality", sorted(MODALITIES), help="Of --encoder=random.")
    _define(flags.DEFINE_enum, "backbone", list(BACKBONES), help="Of --encoder=random.")
    _define(flags.DEFINE_integer, "image_size", help="Side of a view in pixels, of --encoder=random and imagenet.")
    _define(
        flags.DEFINE_string,
        "feature_cache",
        help="Folder in which features are kept for the next command; by default in the user's cache.",
    )
    _define(
        flags.DEFINE_float, "feature_cache_gb", help="What it may take, in GB; what was used least recently makes room."
    )
    # of --task=knn
    _define(flags.DEFINE_integer, "knn_k", help="Number of neighbours that vote in kNN.")
    _define(flags.DEFINE_float, "knn_temperature", help="Temperature T of the kNN votes, exp(cosine / T).")
    # few labels
    _define(_several(float), "label_fractions", help="Shares of the training labels, 0 to 1.")
    _define(_several(int), "labels_per_class", help="Numbers of labels of each class; may be empty.")
    _define(
        flags.DEFINE_integer, "draws", help="Draws of which frames have labels; the mean and deviation are of them."
    )
    _define(_several(float), "finetune_fractions", help="Shares of the training labels, 0 to 1, to fine-tune on.")
    _define(flags.DEFINE_integer, "finetune_epochs", help="Epochs of each fine-tuning.")
    _define(_several(float), "finetune_lr", help="Base learning rates, of a batch of 256, to choose from.")
    _define(
        flags.DEFINE_float, "cache_gb", help="Most memory for the frames that are fine-tuned on, in units of 10⁹ bytes."
    )
    # pictures of the embedding
    _define(flags.DEFINE_integer, "neighbour_queries", help="Test frames in the picture of nearest neighbours.")
    # depth
    _define(_several(str), "depth_strategy", help="What learns depth, of probe (the decoder), finetune, switch.")
    _define(flags.DEFINE_enum, "depth_decoder", list(decoder.DECODERS), help="Of the last map alone, or of all stages.")
    _define(flags.DEFINE_integer, "depth_trials", help="Decoders trained of each configuration, from --seed on.")
    _define(flags.DEFINE_integer, "depth_epochs", help="Epochs of each.")
    _define(flags.DEFINE_integer, "depth_batch_size", help="Frames of a step, at most all.")
    _define(flags.DEFINE_float, "depth_lr", help="Learning rate of Adam.")


def _define(kind, name, *values, help):
    kind(name, getattr(Settings, name), *values, help)


def _several(kind):
    """What defines a flag of values separated by commas."""
    return functools.partial(flags.DEFINE, _Several(kind), serializer=_Joined())


class _Several(flags.ArgumentParser):
    def __init__(self, kind):
        self.kind = kind

    def parse(self, argument):
        if isinstance(argument, tuple):
            return argument
        try:
            return tuple(self.kind(part) for part in argument.split(",") if part)
        except ValueError:
            raise ValueError(f"expected values separated by commas, got {argument!r}") from None

    def flag_type(self):
        return "values separated by commas"


class _Joined(flags.ArgumentSerializer):
    def serialize(self, value):
        return ",".join(map(str, value))


def main():
    """The command."""
    values = flags.FLAGS
    given = {field.name: values[field.name].value for field in dataclasses.fields(Settings)}
    given["output"] = given["output"] or _default_output(given["encoder"])
    evaluate(Settings(**given | {"task": tuple(given["task"])}))


if __name__ == "__main__":
    run_command(main, define_flags)
