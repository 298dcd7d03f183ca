"""Evaluates a trained encoder, beside an untrained encoder and chance: kNN, linear probes and more (--task).

python evaluate.py --encoder=runs/rgbd --data_dir=data/washington --task=knn,linear
"""

from keras_simsiam.core.command import run_command

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import sklearn
import tensorflow as tf

import keras_simsiam
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import REQUIRED, Checked, define_flags, from_flags, part, setting
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
from keras_simsiam.training import run
from tfrecords import Dataset

# What --task may name: the module of each (keras_simsiam.evaluation.tasks).
TASKS = {
    # all labels
    "knn": knn,
    "linear": linear.Linear(),
    "linear_sgd": linear.Linear("sgd"),
    "linear_lars": linear.Linear("lars"),
    # few labels
    "label_fraction": label_fraction,
    "finetune": finetune,
    # pictures of the embedding
    "neighbours": neighbours,
    "embedding_map": embedding_map,
    "pose": pose,
    "robustness": robustness,
    # depth
    "monodepth": monodepth,
}
# those that choose an epoch on the split `val`, where there is one
CHOOSING = ("finetune", "monodepth")


@dataclasses.dataclass(frozen=True)
class Evaluation(Checked):
    """What is evaluated on what, and where the results go."""

    encoder: str = setting(
        REQUIRED, "Run directory to evaluate; or a .keras file; a folder that export.encoder wrote; random; imagenet."
    )
    data_dir: str = setting(REQUIRED, "Labelled data set, as tfrecords.build wrote it.")
    task: tuple[str, ...] = setting(("knn", "linear"), f"Tasks to run, separated by commas: {', '.join(TASKS)}.")
    split: str = setting("test", "Split on which is measured.")
    train_split: str = setting("train", "Split that a task learns from: kNN's bank, the linear probe's samples.")
    batch_size: int = setting(64, "Images embedded at a time; changes speed and memory, not the result.", low=1)
    output: str | None = setting(
        None,
        "Folder of the results; by default evaluation in the run directory, evaluation_<file> beside a .keras file. Needed "
        "where --encoder is something else.",
    )
    on_corrupt: str = setting(
        "fail", "A damaged shard ends the command, or the rest of it is left out.", choices=("fail", "skip")
    )
    feature_cache: str | None = setting(
        None, "Folder in which features are kept for the next command; by default in the user's cache."
    )
    feature_cache_gb: float = setting(20.0, "What it may take, in GB; what was used least recently makes room.")


@dataclasses.dataclass(frozen=True)
class Settings(
    # the fields of the last come first
    monodepth.Settings,
    neighbours.Settings,
    finetune.Settings,
    label_fraction.Settings,
    resolve.Network,
    Evaluation,
):
    """The command line: the command's own settings, those of --encoder=random and of all tasks."""


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
    dataset = Dataset(settings.data_dir)
    subject = resolve.subject(settings.encoder, part(settings, resolve.Network))
    chooses = (VALIDATION,) if set(CHOOSING) & set(settings.task) else ()
    read = (settings.train_split, settings.split, *chooses)
    dataset = dataset.without_corrupt_records(read) if settings.on_corrupt == "skip" else dataset
    _check(settings, subject, dataset)
    store = feature_store.Store(settings.feature_cache or feature_store.default_folder(), settings.feature_cache_gb)
    data = Data(dataset, settings.train_split, settings.split, store, settings.batch_size)
    tasks = {name: (TASKS[name], part(settings, TASKS[name].Settings)) for name in settings.task}
    for task, given in tasks.values():
        task.check(subject, data, given)
    with files.merged_into(settings.output, f"--output={settings.output}") as partial:
        with dataset.naming_corrupt_shards(read):
            by_task = {name: task.run(subject, data, partial, given) for name, (task, given) in tasks.items()}
        subject.require_unchanged()
        results = by_task | _provenance(settings, subject, data)
        (partial / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(tables.of_tasks(by_task, dataset.classes, subject.names[0]))
    written = ["results.json", *(file for result in by_task.values() for file in result["files"])]
    print("written: " + ", ".join(os.path.join(settings.output, file) for file in written))
    return results


def _check(settings, subject, dataset):
    """Refuses what no task could be run on, before anything is computed."""
    for split in (settings.train_split, settings.split):
        dataset.split(split)
    if settings.split == settings.train_split:
        raise UserError(f"--split and --train_split are both {settings.split}: a probe must not see its test samples")
    modality = subject.preprocessing.modality
    if modality != "rgb" and not dataset.has_depth:
        raise UserError(f"{settings.encoder} is an encoder of {modality}, but {dataset.path} has no depth")


def _provenance(settings, subject, data):
    """What one needs to know to repeat the numbers."""
    return {
        "settings": dataclasses.asdict(settings),
        "encoder": {"source": subject.source, "sha256": subject.sha256, "seed": subject.seed}
        | dataclasses.asdict(subject.preprocessing),
        "data": {
            "path": data.dataset.path,
            "sha256": data.dataset.checksum,
            "classes": list(data.dataset.classes),
        },
        "samples": {split: data.dataset.splits[split].count for split in (data.train, data.test)},
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


def main():
    """The command."""
    given = from_flags(Settings)
    evaluate(dataclasses.replace(given, output=given.output or _default_output(given.encoder)))


if __name__ == "__main__":
    run_command(main, lambda: define_flags(Settings))
