"""Writes an encoder's features of a data set, or of a folder of frames, to one file for use elsewhere.

keras-simsiam embed --encoder=runs/rgbd --input=data/washington --output=features.npz
"""

from keras_simsiam.core.command import run_command

import contextlib
import csv
import dataclasses
import errno
import functools
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_simsiam.core import files, settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import REQUIRED, Checked, from_flags, part, setting
from keras_simsiam.evaluation.encoders import source
from keras_simsiam.evaluation.encoders.compared import ComparedEncoders, compare
from keras_simsiam.evaluation.evaluate import versions
from keras_simsiam.probes.features import FACTS, finite
from keras_simsiam.training import whitening
from tfrecords import example
from tfrecords.dataset import Dataset
from tfrecords.dataset_json import DATASET_JSON
from tfrecords.frame_statistics import Statistics
from tfrecords.sources import folder

BATCH = 64  # images embedded at a time, as evaluate.py does unasked
_SHOWN = 5  # frames that are left out, with their reasons


@dataclasses.dataclass(frozen=True)
class FolderOfFrames(Checked):
    """How a folder of frames is read: what `tfrecords.sources.folder.plan` takes."""

    rgb: str = setting("rgb/*", "Of a folder: the colour images, by a pattern below `input`.")
    depth: str | None = setting(
        None,
        "Of a folder: the depth images, by a pattern whose wildcards match the same as those of `rgb`; by default depth/* for "
        "an encoder that looks at depth.",
    )
    camera: str | None = setting(
        None, "Of a folder: fx,fy,cx,cy in pixels, zero-based pixel centres; read no camera file."
    )
    camera_file: str | None = setting(
        None, "Of a folder: the camera file; by default camera.json next to or above each image."
    )
    units_per_metre: float | None = setting(
        None, "Of a folder: depth values in a metre (1000 for millimetres), before the camera file's.", above=0
    )
    gravity: str = setting(
        "unknown", "Of a folder: gx,gy,gz in the camera frame (x right, y down, z forward); or unknown."
    )
    labels: str = setting(
        "none", "Of a folder: none; or folder: the first wildcard of `rgb` names the class.", choices=("none", "folder")
    )


@dataclasses.dataclass(frozen=True)
class Inputs(Checked):
    """The encoder, the frames, and the files that are written."""

    encoder: str = setting(
        REQUIRED, "Run directory; or a .keras file; a folder that export.encoder wrote; random; imagenet."
    )
    input: str = setting(
        REQUIRED, "Data set that tfrecords.build wrote; or a folder of frames, as its `source=folder` reads one."
    )
    output: str = setting(REQUIRED, "The .npz file to write.")
    csv: str | None = setting(None, "A .csv file to write too: frame, split, label, f0, f1, …")
    split: str | None = setting(None, "Of a data set: the features of this split alone; by default of all.")


@dataclasses.dataclass(frozen=True)
class Settings(source.Network, FolderOfFrames, Inputs):
    """The command line."""


@dataclasses.dataclass(frozen=True)
class Frames:
    """What is embedded.

    Attributes:
        path: where it lies.
        classes: the name of each label.
        has_depth: whether the frames have depth.
        count: how many frames there are, those that cannot be used included.
        samples: a tf.data.Dataset of Samples by split; a folder's are of the split "".
        left_out: what was left out and why, complete once all samples are read.
        naming_errors: makes a context in which an error of reading becomes a UserError.
    """

    path: str
    classes: Sequence[str]
    has_depth: bool
    count: int
    samples: Mapping[str, tf.data.Dataset]
    left_out: list[str] = dataclasses.field(default_factory=list)
    naming_errors: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext


def find(given: Settings, modality: str) -> Frames:
    """The frames that --input names.

    Args:
        given: the command line.
        modality: what the encoder looks at.

    Raises:
        UserError: there are none, or they lack what the encoder looks at.
    """
    is_remote = "://" in given.input
    if not is_remote and not os.path.isdir(given.input):
        raise UserError(f"`input={given.input}`: no such folder; give a data set's, or one of frames")
    is_dataset = is_remote or os.path.exists(os.path.join(given.input, DATASET_JSON))
    frames = _of_dataset(given) if is_dataset else _of_folder(given, modality)
    if modality != "rgb" and not frames.has_depth:
        raise UserError(f"{given.encoder} is an encoder of {modality}, but {frames.path} has no depth")
    return frames


def _of_dataset(given):
    for field in dataclasses.fields(FolderOfFrames):
        if getattr(given, field.name) != field.default:
            raise UserError(f"`{field.name}` is for a folder of frames, and {given.input} is a data set: leave it out")
    dataset = Dataset(given.input)
    splits = list(dataset.splits) if given.split is None else [given.split]
    return Frames(
        dataset.path,
        dataset.classes,
        dataset.has_depth,
        sum(dataset.split(split).count for split in splits),
        {split: dataset.samples(split) for split in splits},
        naming_errors=functools.partial(dataset.naming_corrupt_shards, splits),
    )


def _of_folder(given, modality):
    if given.split is not None:
        raise UserError(
            f"`split={given.split}`: {given.input} is a folder of frames, which has no splits: leave it out"
        )
    asked = dataclasses.asdict(part(given, FolderOfFrames))
    asked["depth"] = given.depth if given.depth is not None else "" if modality == "rgb" else "depth/*"
    try:
        plan = folder.plan(given.input, **asked)
    except UserError as error:
        raise UserError(f"{given.input} has no {DATASET_JSON}, so it is read as a folder of frames: {error}") from error
    references, left_out = [reference for split in plan.splits.values() for reference in split], []

    def records():
        # each as tfrecords.build would write it, and left out where that would leave it out
        for reference in references:
            try:
                frame = plan.load(reference)
                Statistics().add(frame)
            except UserError as error:
                left_out.append(str(error))
            else:
                yield example.encode(frame)

    decode = functools.partial(example.decode, has_depth=bool(asked["depth"]))
    samples = tf.data.Dataset.from_generator(records, output_signature=tf.TensorSpec([], tf.string))
    samples = samples.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return Frames(given.input, plan.classes, bool(asked["depth"]), len(references), {"": samples}, left_out)


def embed(compared: ComparedEncoders, frames: Frames) -> dict[str, np.ndarray]:
    """The features of frames by the encoder that was asked for, and what is known of the frames.

    Args:
        compared: of which the first encoder counts.
        frames: as `find` gives them.

    Returns:
        A dict: `embeddings` float32 [N,D], the numbers that evaluate.py measures; `frames` str [N]; `labels` int64 [N],
        -1 = unlabelled; `splits` str [N]; of a run that has kept its whitening `whitened` float32 [N,D], the embeddings so
        scaled.

    Raises:
        UserError: no frame can be used; a shard is corrupt; an embedding is not finite.
    """
    parts, splits = [], []
    with (
        frames.naming_errors(),
        tqdm(total=frames.count, unit=" frames", desc="embedding", disable=None) as bar,
    ):
        for split, samples in frames.samples.items():
            for (embeddings,), facts in compared.embed(compared.names[:1], samples, BATCH):
                parts.append((finite(embeddings), *(facts[name] for name in FACTS)))
                splits += [split] * len(embeddings)
                bar.update(len(embeddings))
    if not parts:
        raise UserError(f"none of the {frames.count} frames of {frames.path} can be used: {frames.left_out[0]}")
    embeddings, labels, names, _ = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = {"embeddings": embeddings, "frames": names, "labels": labels, "splits": np.array(splits, str)}
    scaling = whitening.load(compared.source.file) if compared.source.kind in (source.RUN, source.FILE) else None
    return found | ({"whitened": scaling(embeddings)} if scaling else {})


def describe(compared: ComparedEncoders, frames: Frames) -> dict[str, np.ndarray]:
    """What one needs to know to use the features elsewhere: `classes` str [C], and texts, str []."""
    preprocessing = compared.preprocessing
    return {
        "classes": np.array(frames.classes, str),
        "encoder": np.array(compared.source.name),
        "encoder_sha256": np.array(compared.source.sha256 or ""),  # random weights come from no file
        "input": np.array(frames.path),
        "modality": np.array(preprocessing.modality),
        "preprocessing": np.array(json.dumps(dataclasses.asdict(preprocessing))),
        "versions": np.array(json.dumps(versions())),
    }


def _require_writable(given):
    """Refuses, before hours of work, files that cannot be written; makes their folders."""
    if given.csv is not None and os.path.realpath(given.csv) == os.path.realpath(given.output):
        raise UserError(f"`csv={given.csv}` is the file of `output` too: choose another")
    for name, path in (("output", given.output), ("csv", given.csv)):
        if path is not None:
            with files.writing(f"`{name}={path}`", "choose another"):
                if os.path.isdir(path):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                os.makedirs(Path(path).parent, exist_ok=True)
                tempfile.TemporaryFile(dir=Path(path).parent).close()


def _write(given, content):
    with (
        files.writing(f"`output={given.output}`", "choose another"),
        files.replacing(given.output) as partial,
        open(partial, "wb") as file,
    ):
        np.savez(file, **content)  # given a path, it would append .npz
    if given.csv is None:
        return
    with (
        files.writing(f"`csv={given.csv}`", "choose another"),
        files.replacing(given.csv) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file)
        embeddings = content["embeddings"]
        rows.writerow(["frame", "split", "label", *(f"f{number}" for number in range(embeddings.shape[1]))])
        for row in zip(content["frames"], content["splits"], content["labels"], embeddings, strict=True):
            rows.writerow([*row[:3], *row[3].astype(str)])  # the fewest digits that give the same float32


def summary(given: Settings, content: Mapping[str, np.ndarray], left_out: Sequence[str]) -> str:
    """What the command prints: where the features are, how many, and Python that loads them."""
    count, width = content["embeddings"].shape
    lines = [f"features: {given.output}: {count} frames, {width} numbers each (float32, not normalised)"]
    lines += [f"table: {given.csv}"] if given.csv else []
    if left_out:
        more = f", and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
        lines += [f"left out: {len(left_out)} frames", *(f"  {reason}" for reason in left_out[:_SHOWN])]
        lines[-1] += more
    return "\n".join(
        [
            *lines,
            "to load them, in Python:",
            "  import numpy as np",
            f"  features = np.load({given.output!r})",
            '  embeddings, labels, frames = features["embeddings"], features["labels"], features["frames"]',
        ]
    )


def define_flags():
    """Called only by the command."""
    settings.define_flags(Settings)


def main():
    """The command."""
    given = from_flags(Settings)
    compared = compare(source.resolve(given.encoder, part(given, source.Network)))
    frames = find(given, compared.preprocessing.modality)
    _require_writable(given)
    content = embed(compared, frames) | describe(compared, frames)
    _write(given, content)
    print(summary(given, content, frames.left_out))


if __name__ == "__main__":
    run_command(main, define_flags)
