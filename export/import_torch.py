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
from tensorflow import keras

from export import safetensors_file, torch_names, torch_pickle, torch_vit_names
from keras_simsiam.core import files, keras_compat
from keras_simsiam.core.errors import UserError, as_called
from keras_simsiam.models import vit
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.training.config import RunConfig, open_workdir

_SIZES = {"imagenet": 224, "cifar": 32}  # what a stem was made for
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
    entries = (safetensors_file if path.endswith(".safetensors") else torch_pickle).read(path)
    try:
        prefix = torch_names.find_prefix(entries, settings.prefix)
        tensors = {name.removeprefix(prefix): tensor for name, tensor in entries.items() if name.startswith(prefix)}
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if "cls_token" in tensors:
            architecture, size, heads = _recognise_vit(tensors, shapes, settings.heads)
        else:
            architecture, size, heads = _recognise_resnet(shapes, settings.heads)
    except UserError as error:
        raise UserError(f"`checkpoint={path}`: {error}") from error
    weights = _weights(path, tensors, architecture)
    size = settings.image_size or size
    encoder = build_encoder("rgb", image_size=size, **architecture._asdict())
    fill(encoder, weights, architecture, mean=settings.mean, std=settings.std)
    facts = {
        "checkpoint": os.path.basename(path),
        "sha256": files.sha256(path),
        "architecture": architecture._asdict(),
        "prefix": prefix,
        "left_out": sorted({name.split(".")[0] for name in heads}),
        "mean": settings.mean,
        "std": settings.std,
    }
    config = RunConfig("", settings.workdir, modality="rgb", image_size=size, **architecture._asdict())
    _write(config, encoder, facts)
    return facts


def _recognise_resnet(shapes, heads):
    """(architecture, side of an image by default, names that are left out) of a ResNet."""
    if heads is not None:
        raise UserError(f"`heads={heads}` has no meaning for a ResNet: leave it out")
    architecture = torch_names.recognise(shapes)
    return architecture, _SIZES[architecture.stem], torch_names.check(shapes, architecture)


def _recognise_vit(tensors, shapes, heads):
    """The same of a ViT."""
    if "pos_embed" not in tensors:
        raise UserError("of a ViT there is no pos_embed: only fixed or learned positions can be taken")
    positions = np.asarray(tensors["pos_embed"].load(), np.float32)
    architecture, size = torch_vit_names.recognise(shapes, positions, heads)
    return architecture, size, torch_vit_names.check(shapes, architecture)


def fill(encoder, weights, architecture, *, mean, std):
    """Put PyTorch's weights into an encoder.

    Args:
        encoder: what `build_encoder` makes of modality `rgb` and the architecture. A ViT's may be of another image size than
            the checkpoint's: its positions are interpolated, as DINO does.
        weights: dict from PyTorch's name to a float32 array, a kernel being [out, in, height, width].
        architecture: `torch_names.Architecture` or `torch_vit_names.VisionTransformer`.
        mean: of an input in 0..1, three numbers: what the network was trained with (torchvision's `Normalize`).
        std: the same, above 0.
    """
    tower = encoder.get_layer("rgb_tower")
    normalisation = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    normalisation.scale = [1 / s for s in std]
    normalisation.offset = [-m / s for m, s in zip(mean, std, strict=True)]
    network = tower.get_layer(architecture.backbone)
    if isinstance(architecture, torch_vit_names.VisionTransformer):
        _fill_vit(network, weights, architecture)
    else:
        _fill_resnet(network, weights, architecture)


def _fill_resnet(network, weights, architecture):
    convolutions, norms = (
        sorted((layer for layer in network.layers if isinstance(layer, kind)), key=_made)
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization)
    )
    names = torch_names.layers(architecture)
    for convolution, norm, (name, norm_name, _) in zip(convolutions, norms, names, strict=True):
        convolution.set_weights([weights[f"{name}.weight"].transpose(2, 3, 1, 0)])
        norm.set_weights([weights[f"{norm_name}.{weight}"] for weight in torch_names.NORM])


def _fill_vit(network, weights, architecture):
    tokens = network.get_layer("tokens")
    table = weights["pos_embed"]
    if table.shape[1] != 1 + tokens.grid**2:
        table = vit.resized(table, tokens.grid)
    tokens.set_weights([weights["cls_token"], table])
    for name in torch_vit_names.layers(architecture):
        kernel = weights[f"{name}.weight"]
        # [out, in, height, width], or [out, in]; of a norm, its scale
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        network.get_layer(name.replace(".", "_")).set_weights([kernel, weights[f"{name}.bias"]])


def _made(layer):
    """When a layer was made among those of its kind, by the number that Keras puts behind its name.

    models/resnet.py makes them in torchvision's order. A functional model lists them in another, where branches meet.
    """
    number = layer.name.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _weights(path, tensors, architecture):
    """The encoder's arrays, float32, by their names."""
    of_vit = isinstance(architecture, torch_vit_names.VisionTransformer)
    names = (torch_vit_names if of_vit else torch_names).names(architecture)
    weights = {name: np.asarray(tensors[name].load(), np.float32) for name in names}
    wrong = [name for name, array in weights.items() if not np.all(np.isfinite(array))]
    if wrong:
        raise UserError(f"{path}: {wrong[0]} has numbers that are not finite: its training has diverged, give another")
    return weights


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
