"""What a data set holds, and whether it is whole: python -m tfrecords.inspect DIR [--verify] [--sheet=FILE.png]"""

from keras_simsiam.core.command import run_command

import json
from pathlib import Path

import tensorflow as tf
from absl import flags

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords import description
from tfrecords.dataset import Dataset
from tfrecords.dataset_json import DATASET_JSON

FLAGS = flags.FLAGS
flags.DEFINE_bool("verify", False, "Check every checksum and every record; ends with status 1 on the first problem.")
flags.DEFINE_string("sheet", None, "A PNG file to draw twelve of the samples into: colour, depth and HHA.")

_LISTED = 12  # names
_INDENT = 11


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise UserError("name one data set's folder: python -m tfrecords.inspect DIR")
    data = Dataset(arguments[0])
    with tf.io.gfile.GFile(tf.io.gfile.join(data.path, DATASET_JSON)) as file:
        content = json.loads(file.read())
    print(describe(data.path, content))
    if FLAGS.verify:
        from tfrecords import verify

        checksums = {name: split["sha256"] for name, split in content["splits"].items() if "sha256" in split}
        for line in verify.verify(data, checksums):
            print(f"{'verified':{_INDENT}}{line}")
    if FLAGS.sheet is not None:
        _write_sheet(data, FLAGS.sheet)


def describe(path: str, content: dict) -> str:
    """What dataset.json says, as lines of text: a name, and its value.

    Args:
        path: the data set's folder.
        content: its dataset.json. Keys that this version does not know are shown too.
    """
    source = content.get("source", {})
    lines = [("data set", f"{path} (schema version {content['schema_version']})")]
    lines.append(("source", source.get("name", "not said")))
    lines += [("", f"{name} = {_text(value)}") for name, value in source.get("arguments", {}).items()]
    for number, (name, split) in enumerate(content["splits"].items()):
        lines.append(("splits" if number == 0 else "", f"{name}: {_split(split)}"))
    for name in ("classes", "instances"):
        names = content.get(name, [])
        lines.append((name, f"{len(names)}" + (f": {_text(names)}" if names else "")))
    origin = description.depth_origin(content)
    lines.append(("has depth", (f"yes, {origin}" if origin else "yes") if content["has_depth"] else "no"))
    lines += _nested("predicted", content["predicted_depth"]) if origin else []
    known = {"schema_version", "source", "splits", "classes", "instances", "has_depth", "predicted_depth"}
    for name in sorted(set(content) - known):
        lines += _nested(name, content[name])
    return "\n".join(f"{name:{_INDENT}}{text}".rstrip() for name, text in lines)


def _split(split):
    size = f", {_bytes(sum(split['bytes']))}" if "bytes" in split else ""
    checksums = "checksums" if "sha256" in split else "no checksums"
    return f"{split['count']} frames, shards: {len(split['shards'])}{size}, {checksums}"


def _bytes(count):
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


def _nested(name, value):
    """Lines of a value of dataset.json: a dict has one for each of its keys."""
    if not isinstance(value, dict):
        return [(name, _text(value))]
    return [
        (name if number == 0 else "", f"{key}: {_text(inner)}") for number, (key, inner) in enumerate(value.items())
    ]


def _text(value):
    """A JSON value on one line; of long lists and dicts the beginning."""
    if isinstance(value, dict):
        parts = [
            f"{key} ({_text(inner)})" if isinstance(inner, dict) else f"{key} {_text(inner)}"
            for key, inner in value.items()
        ]
    elif isinstance(value, list):
        parts = [_text(inner) for inner in value]
    else:
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    more = f" … {len(parts) - _LISTED} more" if len(parts) > _LISTED else ""
    return (", ".join(parts[:_LISTED]) or "none") + more


def _write_sheet(data, path):
    # Only pictures need Matplotlib and the library.
    from tfrecords import contact_sheet

    try:
        samples = contact_sheet.choose(data)
    except tf.errors.OpError:
        raise UserError(f"a record of {data.path} is corrupt: `verify` says which, build the data set again") from None
    if not samples:
        raise UserError(f"{data.path} has no frames: there is nothing to draw for `sheet`")
    picture = contact_sheet.draw(samples, data.classes)
    with files.writing(f"`sheet={path}`", "name another file"):
        Path(path).write_bytes(picture)
    print(f"{'sheet':{_INDENT}}{path}")


if __name__ == "__main__":
    run_command(main, takes_arguments=True)
