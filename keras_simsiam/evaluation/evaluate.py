"""Evaluates an encoder on a data set: one call for programs, for evaluate.py and for the experiments."""

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import sklearn
import tensorflow as tf

import keras_simsiam
from keras_simsiam.core import files
from keras_simsiam.core.dataset import Dataset
from keras_simsiam.core.errors import UserError, worded
from keras_simsiam.core.settings import Checked, part, setting
from keras_simsiam.evaluation import feature_store
from keras_simsiam.evaluation.data import VALIDATION, Data
from keras_simsiam.evaluation.encoders.compared import compare
from keras_simsiam.evaluation.encoders.source import SAVED_MODEL, EncoderSource, Network, resolve
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

# What `task` may name: the module of each (keras_simsiam.evaluation.tasks).
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
    """Which tasks are run on which splits, and where the results go."""

    task: tuple[str, ...] = setting(("knn", "linear"), f"Tasks to run, separated by commas: {', '.join(TASKS)}.")
    split: str = setting("test", "Split on which is measured.")
    train_split: str = setting("train", "Split that a task learns from: kNN's bank, the linear probe's samples.")
    batch_size: int = setting(64, "Images embedded at a time; changes speed and memory, not the result.", low=1)
    output: str | None = setting(
        None,
        "Folder of the results; by default evaluation in the run directory, evaluation_<file> next to a .keras file. Needed "
        "where `encoder` is something else.",
    )
    on_corrupt: str = setting(
        "fail", "A damaged shard ends the command, or the rest of it is left out.", choices=("fail", "skip")
    )
    feature_cache: str | None = setting(
        None, "Folder in which features are kept for the next command; by default in the user's cache."
    )
    feature_cache_gb: float = setting(20.0, "What it may take, in GB; what was used least recently makes room.")

    def __post_init__(self):
        super().__post_init__()
        if not self.task or not set(self.task) <= set(TASKS):
            raise UserError(f"`task={','.join(self.task)}`: the tasks are {', '.join(TASKS)}")


@dataclasses.dataclass(frozen=True)
class Settings(
    # the fields of the last come first
    monodepth.Settings,
    neighbours.Settings,
    finetune.Settings,
    label_fraction.Settings,
    knn.Settings,
    Network,
    Evaluation,
):
    """The settings of an evaluation, of encoders without a run directory, and of all tasks, flat."""


def evaluate(
    encoder: str | EncoderSource,
    dataset: Dataset,
    *,
    task: str | Sequence[str] = ("knn", "linear"),
    output: str | None = None,
    split: str = "test",
    train_split: str = "train",
    batch_size: int = 64,
    on_corrupt: str = "fail",
    feature_cache: str | None = None,
    feature_cache_gb: float = 20.0,
    progress: Callable[[str], None] | None = None,
    **task_settings,
) -> dict:
    """Runs tasks on an encoder, on the same network untrained where there is one, and on chance; prints nothing.

    Example:
        >>> results = ks.evaluate(trained, ks.Dataset(data_dir), task=("knn", "linear"), knn_k=5)
        >>> 0 <= results["knn"]["accuracy"]["trained encoder"]["top1"] <= 1
        True

    Args:
        encoder: a run directory, or what else `source.resolve` takes; or what it gives.
        dataset: a labelled data set; a `tfrecords.Dataset` is one.
        task: a name of TASKS, or several.
        output: folder for results.json and the tasks' figures and predictions, whose names are in the results. None: nothing
            is written, and the figures are made in a temporary folder that vanishes.
        split: the split that is measured on.
        train_split: the split that tasks learn from.
        batch_size: images embedded at a time.
        on_corrupt: `fail`, or `skip`: the rest of a corrupt shard is left out.
        feature_cache: folder in which features are kept for the next call. None: in the user's cache, or without an `output`
            nowhere.
        feature_cache_gb: what that folder may take, in GB.
        progress: function that is told what takes long, in a line each.
        **task_settings: fields of the tasks' `Settings`, such as knn_k, and of `source.Network` where `encoder` is `random` or
            `imagenet`.

    Returns:
        The content of results.json: each task's results by its name, then `settings`, `encoder`, `data`, `samples`, `versions`.

    Raises:
        TypeError: there is no such setting.
        UserError: a setting has a value that cannot be; the encoder, the data set and the tasks do not go together; the output
            cannot be written.
    """
    unknown = set(task_settings) - {field.name for field in dataclasses.fields(Settings)}
    if unknown:
        raise TypeError(f"evaluate() got an unexpected keyword argument {min(unknown)!r}")
    settings = Settings(
        task=(task,) if isinstance(task, str) else tuple(task),
        output=output,
        split=split,
        train_split=train_split,
        batch_size=batch_size,
        on_corrupt=on_corrupt,
        feature_cache=feature_cache,
        feature_cache_gb=feature_cache_gb,
        **task_settings,
    )
    source = encoder if isinstance(encoder, EncoderSource) else resolve(encoder, part(settings, Network))
    compared = compare(source)
    chooses = (VALIDATION,) if set(CHOOSING) & set(settings.task) else ()
    read = (settings.train_split, settings.split, *chooses)
    dataset = dataset.without_corrupt_records(read) if settings.on_corrupt == "skip" else dataset
    _check(settings, compared, dataset)
    tasks = {name: (TASKS[name], part(settings, TASKS[name].Settings)) for name in settings.task}
    with _feature_folder(settings) as folder:
        store = feature_store.Store(folder, settings.feature_cache_gb)
        data = Data(dataset, settings.train_split, settings.split, store, settings.batch_size)
        data = dataclasses.replace(data, progress=progress) if progress else data
        if compared.note:
            data.progress(worded(compared.note))
        for module, given in tasks.values():
            module.check(compared, data, given)
        with _output_folder(settings.output) as partial:
            with dataset.naming_corrupt_shards(read):
                by_task = {name: module.run(compared, data, partial, given) for name, (module, given) in tasks.items()}
            compared.require_unchanged()
            results = by_task | _provenance(settings, compared, dataset)
            (partial / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def _output_folder(output):
    """A context of a folder for what tasks write: its content goes to `output` at the end, or it vanishes."""
    if output is None:
        return _temporary_folder()
    return files.merged_into(output, f"`output={output}`")


def _feature_folder(settings):
    """A context of the folder of features."""
    if settings.feature_cache is None and settings.output is None:
        return _temporary_folder()
    return contextlib.nullcontext(settings.feature_cache or feature_store.default_folder())


@contextlib.contextmanager
def _temporary_folder():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _check(settings, compared, dataset):
    """Refuses what no task could be run on, before anything is computed."""
    for split in (settings.train_split, settings.split):
        if split not in dataset.splits:
            raise UserError(f"{dataset.path} has no split '{split}': it has {', '.join(sorted(dataset.splits))}")
    if settings.split == settings.train_split:
        raise UserError(f"`split` and `train_split` are both {settings.split}: a probe must not see its test samples")
    modality = compared.preprocessing.modality
    if modality != "rgb" and not dataset.has_depth:
        raise UserError(f"{compared.source.name} is an encoder of {modality}, but {dataset.path} has no depth")


def _provenance(settings, compared, dataset):
    """What one needs to know to repeat the numbers."""
    source = compared.source
    return {
        "settings": {"encoder": source.name, "data_dir": dataset.path} | dataclasses.asdict(settings),
        "encoder": {
            "source": source.file if source.kind == SAVED_MODEL else source.name,  # of several versions the one
            "sha256": source.sha256,
            "seed": source.config.seed if source.config else None,
        }
        | _starting_weights(source.config)
        | dataclasses.asdict(compared.preprocessing),
        "data": {"path": dataset.path, "sha256": dataset.checksum, "classes": list(dataset.classes)},
        "samples": {split: dataset.splits[split].count for split in (settings.train_split, settings.split)},
        "versions": versions(),
    }


def _starting_weights(config):
    """What a run started from, where it did not draw all of it."""
    return {"init": config.init, "init_sha256": config.init_sha256} if config and config.init else {}


def versions() -> dict[str, str]:
    """The versions that a number depends on, by package."""
    return {module.__name__: module.__version__ for module in (keras_simsiam, tf, np, sklearn)}
