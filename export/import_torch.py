"""Makes a run directory of a ResNet or ViT that was trained in PyTorch. PyTorch itself is not needed.

python -m export.import_torch --checkpoint=resnet50.pth --workdir=runs/torchvision
"""

from keras_simsiam.core.command import run_command

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
from absl import flags

from keras_simsiam.core import files, keras_compat
from keras_simsiam.core.errors import UserError, as_called
from keras_simsiam.models.pytorch import checkpoint
from keras_simsiam.training.config import RunConfig, open_workdir

_COMMENT = """\
# An encoder that was trained elsewhere: see imported.json. Of these flags modality, image_size, backbone, and stem and width
# or patch and positions describe it; the others are defaults, and say nothing of its training.
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The command line; each field is the flag of its name."""

    checkpoint: str
    workdir: str
    prefix: str | None
    image_size: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    heads: int | None = None


def import_encoder(settings):
    """Write the run directory.

    Args:
        settings: `Settings`.

    Returns:
        The content of its imported.json: a dict of `checkpoint`, `sha256`, `architecture`, `prefix`, `left_out`, `mean`, `std`.

    Raises:
        UserError: a flag cannot be, the checkpoint cannot be read or is of another network, or the workdir is not empty.
    """
    _check(settings)
    path = settings.checkpoint
    try:
        loaded = checkpoint.load(
            path,
            prefix=settings.prefix,
            image_size=settings.image_size,
            heads=settings.heads,
            mean=settings.mean,
            std=settings.std,
        )
    except UserError as error:
        line = error.args[0]
        says_what = line.startswith((f"{path}: ", "`image_size="))  # a damaged file, another flag
        raise UserError(line if says_what else f"`checkpoint={path}`: {line}") from error
    facts = {
        "checkpoint": os.path.basename(path),
        "sha256": files.sha256(path),
        "architecture": loaded.architecture._asdict(),
        "prefix": loaded.prefix,
        "left_out": loaded.left_out,
        "mean": settings.mean,
        "std": settings.std,
    }
    size = loaded.encoder.input["rgb"].shape[1]
    config = RunConfig("", settings.workdir, modality="rgb", image_size=size, **loaded.architecture._asdict())
    _write(config, loaded.encoder, facts)
    return facts


def _check(settings):
    folder = Path(settings.workdir)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"`workdir={folder}` is there already; give a new or an empty folder")
    if settings.image_size is not None and settings.image_size < 1:
        raise UserError(f"`image_size={settings.image_size}`: must be at least 1")
    for name, low in (("mean", -np.inf), ("std", 0)):
        values = getattr(settings, name)
        if len(values) != 3 or not all(low < value < np.inf for value in values):
            raise UserError(
                f"`{name}`: give three numbers{' above 0' if low == 0 else ''}, of red, green and blue in 0..1"
            )


def _write(config, encoder, facts):
    """Write the folder; one that cannot be finished is taken away again."""
    folder = Path(config.workdir)
    try:
        open_workdir(config)
        with files.writing(folder):
            flagfile = folder / "flags.txt"
            flagfile.write_text(_COMMENT + flagfile.read_text())
            (folder / "imported.json").write_text(json.dumps(facts, indent=2) + "\n")
            keras_compat.portable(encoder).save(folder / "encoder.keras")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _numbers(name, values):
    try:
        return tuple(map(float, values))
    except ValueError as error:
        raise UserError(f"`{name}={','.join(values)}`: give three numbers, of red, green and blue in 0..1") from error


def define_flags():
    """Called only by the command: a program can import this module and others that have the same flags."""
    flags.DEFINE_string("checkpoint", None, "What torch.save wrote, or a .safetensors file.", required=True)
    flags.DEFINE_string("workdir", None, "Run directory to make.", required=True)
    flags.DEFINE_string("prefix", None, "What stands before conv1.weight or cls_token in the names; found if left out.")
    flags.DEFINE_integer(
        "image_size", None, "Side of an image in pixels; by default a ViT's own, 224, or 32 with CIFAR's stem."
    )
    flags.DEFINE_list(
        "mean", ["0.485", "0.456", "0.406"], "Mean of RGB in 0..1 that it was trained with; 0,0,0 for none."
    )
    flags.DEFINE_integer("heads", None, "Of a ViT: its heads; by default 12 for MoCo v3's ViT-S, else width / 64.")
    flags.DEFINE_list("std", ["0.229", "0.224", "0.225"], "Standard deviation, the same; 1,1,1 for none.")


def main():
    """The command."""
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(Settings)}
    values |= {name: _numbers(name, values[name]) for name in ("mean", "std")}
    settings = Settings(**values)
    facts = import_encoder(settings)
    print(" ".join(f"{name}={value}" for name, value in facts["architecture"].items()), f"prefix={facts['prefix']}")
    print(f"left out: {', '.join(facts['left_out']) or 'nothing'}")
    following = as_called(f"python evaluate.py --encoder={settings.workdir} --data_dir=…")
    print(f"written: {settings.workdir}; {following} says what it is worth")


if __name__ == "__main__":
    run_command(main, define_flags)
