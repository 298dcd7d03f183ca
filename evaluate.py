"""Evaluates a trained encoder: kNN and a linear probe of its frozen features, beside an untrained encoder and chance.

python evaluate.py --encoder=runs/rgbd --data_dir=data/washington --task=knn,linear
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow loads: its start-up lines bury ours

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import sklearn
import tensorflow as tf
from absl import app, flags

import keras_simsiam
from keras_simsiam import pipeline, run
from keras_simsiam.errors import UserError, exit_on_user_error, parse_flags
from keras_simsiam.evaluation import features, figures, probes, report, scores
from tfrecords import faults, reader

TRAINED, UNTRAINED = "trained encoder", "untrained encoder"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The command line; each field is the flag of its name."""

    encoder: str
    data_dir: str
    task: tuple[str, ...]
    split: str
    train_split: str
    knn_k: int
    knn_temperature: float
    batch_size: int
    output: str
    on_corrupt: str = "fail"


def evaluate(settings):
    """Runs the probes, prints the tables and writes results.json and the confusion matrices.

    Args:
        settings: Settings.

    Returns:
        The content of results.json.

    Raises:
        UserError: the settings, the run and the data set do not go together.
    """
    workdir, _ = run.encoder_file(settings.encoder)
    config, splits = run.load_config(workdir), (settings.train_split, settings.split)
    info = reader.load(settings.data_dir)
    info = faults.leave_out(info, splits) if settings.on_corrupt == "skip" else info
    chosen = _choose(settings, info)
    _check(settings, config, info)
    datasets = {split: reader.samples(info, split) for split in splits}
    encoders = {TRAINED: run.load_encoder(settings.encoder), UNTRAINED: run.untrained_encoder(config)}
    _make_folder(settings.output)
    with faults.named(info, splits):
        train, test = (_extract(encoders, info, split, data, config, settings) for split, data in datasets.items())

    labels, num_classes = test[TRAINED].labels, len(info.classes)
    predictions = {name: probes.predict(chosen, train[name], test[name]) for name in encoders}
    rows = {
        name: {task: scores.summarise(labels, found, num_classes) for task, found in predictions[name].items()}
        for name in encoders
    }
    chance = probes.chance(train[TRAINED].labels, labels, num_classes)
    results = {"accuracy": rows, "chance": chance} | _provenance(settings, config, info, chosen)
    files = _write(settings.output, results, chosen, labels, predictions[TRAINED], info.classes)

    titles = {task: probe.title for task, probe in chosen.items()}
    counts = np.bincount(labels, minlength=num_classes)
    chance_rows = {f"chance: {name}": dict.fromkeys(chosen, summary) for name, summary in chance.items()}
    print("\n" + report.accuracy_table(rows | chance_rows, titles))
    print("(the interval takes samples as independent: with many frames of one object it is too narrow)\n")
    print(report.class_table(info.classes, counts, rows[TRAINED], titles) + "\n")
    print("\n".join(f"{name}: {probe.protocol}" for name, probe in chosen.items()))
    print("written: " + ", ".join(files))
    return results


def _choose(settings, info):
    """The probes that --task names."""
    if settings.knn_k < 1 or settings.batch_size < 1 or not settings.knn_temperature > 0:
        raise UserError("--knn_k, --batch_size and --knn_temperature must be positive")
    bank_size = info.splits[settings.train_split].count if settings.train_split in info.splits else settings.knn_k
    available = probes.available(min(settings.knn_k, bank_size), settings.knn_temperature, len(info.classes))
    if not settings.task or not set(settings.task) <= set(available):
        raise UserError(f"--task={','.join(settings.task)}: the tasks are {', '.join(available)}")
    return {task: available[task] for task in settings.task}


def _check(settings, config, info):
    """Refuses what can be refused before anything is computed."""
    if settings.split == settings.train_split:
        raise UserError(f"--split and --train_split are both {settings.split}: a probe must not see its test samples")
    if config.modality != "rgb" and not info.has_depth:
        raise UserError(f"{settings.encoder} is an encoder of {config.modality}, but {info.path} has no depth")
    if not info.classes:
        raise UserError(f"{info.path} has no classes: the tasks need a labelled data set")


def _make_folder(path):
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output={path} cannot be made ({error.strerror}): choose another") from error


def _extract(encoders, info, split, dataset, config, settings):
    """The Features of each encoder, by its name."""
    print(f"embedding {info.splits[split].count} samples of split {split}", flush=True)
    batches = pipeline.clean_batches(dataset, config.preprocessing, settings.batch_size)
    extracted = features.extract_each(list(encoders.values()), batches)
    scores.require_labels(extracted[0].labels, f"split {split} of {info.path}")
    return dict(zip(encoders, extracted, strict=True))


def _provenance(settings, config, info, chosen):
    """What one needs to know to repeat the numbers."""
    encoder = Path(run.encoder_file(settings.encoder)[1])
    return {
        "protocol": {task: probe.protocol for task, probe in chosen.items()},
        "settings": dataclasses.asdict(settings),
        "samples": {split: info.splits[split].count for split in (settings.train_split, settings.split)},
        "classes": list(info.classes),
        "encoder": {"file": str(encoder), "sha256": hashlib.sha256(encoder.read_bytes()).hexdigest()},
        "run": {"modality": config.modality, "backbone": config.backbone, "seed": config.seed},
        "versions": {module.__name__: module.__version__ for module in (keras_simsiam, tf, np, sklearn)},
    }


def _write(output, results, chosen, labels, predictions, class_names):
    """Writes the results and the trained encoder's confusion matrices; returns the paths."""
    folder = Path(output)
    files = [folder / "results.json"]
    files[0].write_text(json.dumps(results, indent=2) + "\n")
    for task, probe in chosen.items():
        files.append(folder / f"confusion_{task}.png")
        title = f"{probe.title}: top-1 {100 * results['accuracy'][TRAINED][task]['top1']:.1f} %"
        figures.confusion_matrix(labels, predictions[task], class_names, title, files[-1])
    return [str(file) for file in files]


def _default_output(encoder):
    workdir, path = run.encoder_file(encoder)
    return str(Path(workdir) / ("evaluation" if encoder == workdir else f"evaluation_{Path(path).stem}"))


def define_flags():
    """Called by the command alone, so that a program can import this module beside others that have the same flags."""
    flags.DEFINE_string("encoder", None, "Run directory to evaluate, or a .keras file in it.", required=True)
    flags.DEFINE_string("data_dir", None, "Labelled data set, as tfrecords.build wrote it.", required=True)
    flags.DEFINE_list("task", ["knn", "linear"], "Probes to run, separated by commas: knn, linear.")
    flags.DEFINE_string("split", "test", "Split on which the accuracies are measured.")
    flags.DEFINE_string("train_split", "train", "Split that is the kNN bank and trains the linear probe.")
    flags.DEFINE_integer("knn_k", 20, "Number of neighbours that vote in kNN.")
    flags.DEFINE_float("knn_temperature", 0.1, "Temperature T of the kNN votes, exp(cosine / T).")
    flags.DEFINE_integer("batch_size", 64, "Images embedded at a time; changes speed and memory, not the result.")
    flags.DEFINE_enum(
        "on_corrupt", "fail", ["fail", "skip"], "A damaged shard ends the command, or the rest of it is left out."
    )
    flags.DEFINE_string(
        "output", None, "Folder of the results, by default evaluation in the run directory, or evaluation_<file>."
    )


@exit_on_user_error
def main(argv):
    """The command."""
    if len(argv) > 1:
        raise UserError(f"unexpected argument {argv[1]}: every setting is a flag, --name=value")
    values = flags.FLAGS
    given = {field.name: values[field.name].value for field in dataclasses.fields(Settings)}
    given["output"] = given["output"] or _default_output(given["encoder"])
    evaluate(Settings(**given | {"task": tuple(given["task"])}))


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=parse_flags)
