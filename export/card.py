"""The model card inside an exported version: what it was trained on and how, its scores, versions and checksums."""

import datetime
import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

import keras_simsiam
from keras_simsiam.core import files, settings

PLACES = Path("assets.extra") / "model_card.json", Path("assets.extra") / "model_card.md"

_PATHS = ("data_dir", "workdir", "knn_data_dir", "init")


def describe_encoder(source):
    """What a run directory says of its encoder.

    Args:
        source: an `EncoderSource` of a run.

    Returns:
        A dict: `encoder` (file, sha256), `data` (name, and what its dataset.json says where it is still there), `recipe` (the
        flags, of paths their last part; of an encoder that export.import_torch made, what it was made of instead),
        `training` (the last epoch's metrics) and `scores` (the accuracies by evaluate.py that were measured on this very
        file, by folder, and how; not those of each class).
    """
    workdir = Path(source.workdir)
    return {
        "encoder": {"file": os.path.basename(source.file), "sha256": source.sha256},
        "data": _data(Path(source.config.data_dir)),
        "recipe": _recipe(workdir, source.config),
        "training": _last_epoch(workdir / "metrics.jsonl"),
        "scores": _scores(workdir, source.sha256),
    }


def describe_depth_network(path):
    """What is known of a depth network that evaluate.py has kept.

    Args:
        path: of the .keras file.

    Returns:
        A dict: `file`, `sha256`, and from the results.json beside it, where that names the file, the `configuration`, its
        `protocol`, and `pooled`, the metrics of this network on the test split.
    """
    path = Path(path)
    known = {"file": path.name, "sha256": files.sha256(path)}
    results = path.parent / "results.json"
    task = json.loads(results.read_text()).get("monodepth", {}) if results.exists() else {}
    for configuration, file in task.get("networks", {}).items():
        if file == path.name:
            pooled = task["configurations"][configuration]["pooled"]
            known |= {"configuration": configuration, "protocol": task["protocol"]}
            known["pooled"] = {metric: trials[0] for metric, trials in pooled.items()}
    return known


def write(version, name, content, inputs):
    """Writes the card, JSON and Markdown, into a version's folder, complete but for the card.

    Args:
        version: the folder, a Path.
        name: the model's.
        content: a dict as `describe_encoder` returns it; empty where nothing is known of the encoder.
        inputs: of its signatures (`signatures.inputs`).
    """
    written = sorted(path for path in version.rglob("*") if path.is_file())
    card = {
        "name": name,
        "exported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "signatures": {signature: [row.name for row in rows] for signature, rows in inputs.items()},
        **content,
        "versions": {module.__name__: module.__version__ for module in (keras_simsiam, tf, np)},
        "sha256": {str(path.relative_to(version)): files.sha256(path) for path in written},
    }
    for place, text in zip(PLACES, (json.dumps(card, indent=2) + "\n", markdown(card)), strict=True):
        (version / place).write_text(text)


def markdown(card):
    """The card for a reader: a heading a part, a list or a table each."""
    parts = [f"# {card['name']}", f"Exported {card['exported']}."]
    parts += [_section(title, card[key]) for key, title in _TITLES.items() if key in card]
    return "\n\n".join(parts) + "\n"


_TITLES = {
    "encoder": "Encoder",
    "data": "Trained on",
    "recipe": "Recipe",
    "training": "Last epoch of training",
    "scores": "Scores",
    "depth_network": "Depth network",
    "signatures": "Signatures and their inputs",
    "versions": "Versions",
    "sha256": "Checksums (SHA-256)",
}


def _section(title, content):
    if not content:
        return f"## {title}\n\nNot known when this was exported."
    rows = [f"| {name} | {value} |" for name, value in _flat(content)]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *rows])


def _flat(content, prefix=""):
    """(name, text) of all values of nested dicts."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}, ")
        else:
            yield name, _text(value)


def _text(value):
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _recipe(workdir, config):
    """The run's flags, dict of strings; of an imported encoder imported.json, as most flags say nothing of it."""
    imported = workdir / "imported.json"
    if imported.exists():
        return json.loads(imported.read_text())
    flags = (line.removeprefix("--").split("=", 1) for line in settings.to_lines(config))
    return {name: os.path.basename(value.rstrip("/")) if name in _PATHS else value for name, value in flags}


def _data(folder):
    data = {"name": folder.name}
    info = folder / "dataset.json"
    if info.exists():
        content = json.loads(info.read_text())
        frames = {split: values["count"] for split, values in content["splits"].items()}
        data |= {"frames": frames, "sha256": files.sha256(info)}
        if "predicted_depth" in content:
            data["predicted_depth"] = content["predicted_depth"]
    return data


def _last_epoch(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines else {}


def _scores(workdir, checksum):
    found = {}
    for path in sorted(workdir.glob("evaluation*/results.json")):
        results = json.loads(path.read_text())
        if results.get("encoder", {}).get("sha256") == checksum:
            found[path.parent.name] = _accuracies(results)
    return found


def _accuracies(results):
    """Of a results.json: `accuracy` by encoder and task, and `protocol` by task, of the tasks that classify."""
    tasks = {name: found for name, found in results.items() if isinstance(found, dict) and "accuracy" in found}
    accuracy = {}
    for task, found in tasks.items():
        for encoder, summary in found["accuracy"].items():
            of_all = {key: value for key, value in summary.items() if key != "per_class"}
            accuracy.setdefault(encoder, {})[task] = of_all
    return {"accuracy": accuracy, "protocol": {task: found["protocol"] for task, found in tasks.items()}}
