"""Each method with the heads and constants that its paper gives it, by the name of the train command's --method."""

import sys
import typing

from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods.alternating import Alternating
from keras_simsiam.methods.barlow import BarlowTwins
from keras_simsiam.methods.byol import BYOL
from keras_simsiam.methods.cross_modal import CrossModal
from keras_simsiam.methods.dino import DINO
from keras_simsiam.methods.intra_modal import IntraModal
from keras_simsiam.methods.moco import MoCoV2
from keras_simsiam.methods.mocov3 import MoCoV3
from keras_simsiam.methods.moving_average import MovingAverage
from keras_simsiam.methods.objectives import Objectives
from keras_simsiam.methods.rotation import RelativeRotation
from keras_simsiam.methods.simclr import SimCLR
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.methods.supervised import Supervised
from keras_simsiam.methods.swav import SwAV
from keras_simsiam.methods.vicreg import VICReg
from keras_simsiam.models.heads import dino_projector, predictor, projector, rotation_head, side_by_side

PROJECTION = 2048  # size of SimSiam's z and p, and of all hidden layers (Chen & He, section 3; Zhu, section 3.3)
CONTRASTED = 128  # size of the projection that SimCLR, MoCo v2 and SwAV compare
# The settings that weigh a loss on a part of the embedding, and the methods that can have one: the others would need a copy of
# the network, a queue or prototypes for each.
PARTS = ("compare_rgb", "compare_hha", "compare_cross")
COMPARE_PARTS = ("simsiam", "simclr")
DINO_WARMUP = 30, 0.3  # the teacher's temperature rises over so many epochs, in a short run over this share of it


class Sizes(typing.NamedTuple):
    """Of a run: optimizer steps, training samples, and classes among them (for `supervised`)."""

    steps: int
    samples: int
    classes: int


def _simsiam(config, encoder, features, batch_norm, _sizes):
    heads, width = _simsiam_heads(config, batch_norm), _width(config, PROJECTION)

    def projector_and_predictor(features):
        return _simsiam_projector(config, features, heads), predictor(
            width, config.projector_width // 4 or 512, **heads
        )

    options = {"stop_gradient": config.stop_gradient, "symmetric": config.symmetric}
    if config.compare == "intra_modal":
        both = map(side_by_side, projector_and_predictor(features // 2), projector_and_predictor(features // 2))
        return IntraModal(encoder, *both, **options)
    if config.compare == "cross_modal":  # the heads take one modality at a time
        return CrossModal(encoder, *projector_and_predictor(features // 2), **options)
    if config.alternation > 1:
        heads_of_both = projector_and_predictor(features)
        return Alternating(encoder, *heads_of_both, steps=config.alternation, symmetric=config.symmetric)
    return _of_parts(
        config, encoder, features, lambda size: SimSiam(encoder, *projector_and_predictor(size), **options)
    )


def _of_parts(config, encoder, features, method):
    """A method, a function of the size of what it compares, on the joint embedding; where others are weighed, on parts too."""
    weights = {name.removeprefix("compare_"): getattr(config, name) for name in ("compare_joint", *PARTS)}
    weights = {name: weight for name, weight in weights.items() if weight}
    if list(weights) == ["joint"]:
        return method(features)
    terms = {name: method(features if name == "joint" else features // 2) for name in weights}
    return Objectives(encoder, terms, weights)


def _simsiam_average(config, encoder, features, batch_norm, sizes):
    print(
        f"keeping averages of {sizes.samples} frames, {_averages_gb(config, sizes.samples):.3g} GB, on each device and in "
        "checkpoints",
        file=sys.stderr,
    )
    head = _simsiam_projector(config, features, _simsiam_heads(config, batch_norm))
    return MovingAverage(encoder, head, samples=sizes.samples)


def _averages_gb(config, samples):
    return samples * _width(config, PROJECTION) * 4 / 10**9


def check_memory(config, samples):
    """Refuses a run whose method would keep too much of its samples.

    Args:
        config: a `RunConfig`.
        samples: number of training samples.

    Raises:
        UserError: more than --cache_gb allows.
    """
    if config.method == "simsiam_average" and _averages_gb(config, samples) > config.cache_gb:
        raise UserError(
            f"`cache_gb={config.cache_gb:g}`: the averages of `method=simsiam_average`, {_width(config, PROJECTION)} numbers "
            f"for each of {samples} frames, need {_averages_gb(config, samples):.3g} GB on each device: allow more, or train "
            "on fewer frames"
        )


def _width(config, published):
    return config.projector_width or published


def _hidden_and_outputs(config, hidden, outputs):
    """Sizes of a head: the outputs stay as published but for a head that is narrower."""
    width = _width(config, hidden)
    return {"hidden": width, "outputs": min(outputs, width)}


def _is_vit(config):
    return config.backbone.startswith("vit")


def _given(**options):
    """The options that flags give; of 0 a method has its paper's."""
    return {name: value for name, value in options.items() if value}


def _simsiam_heads(config, batch_norm):
    return batch_norm | {"batch_norms": config.head_batch_norm, "dropout": config.head_dropout}


def _simsiam_projector(config, features, heads):
    width = _width(config, PROJECTION)
    return projector(features, width, width, layers=config.projector_layers, **heads)


def _simclr(config, encoder, features, batch_norm, _sizes):
    size = _hidden_and_outputs(config, PROJECTION, CONTRASTED)
    given = _given(temperature=config.temperature)

    def simclr(features):
        return SimCLR(encoder, projector(features, **size, layers=2, **batch_norm), **given)

    return _of_parts(config, encoder, features, simclr)


def _mocov2(config, encoder, features, _batch_norm, _sizes):
    head = projector(features, **_hidden_and_outputs(config, PROJECTION, CONTRASTED), layers=2, batch_norms=False)
    given = _given(temperature=config.temperature, momentum=config.teacher_momentum)
    return MoCoV2(encoder, head, queue_size=config.queue_size, **given)


def _mocov3(config, encoder, features, batch_norm, sizes):
    """The paper's heads and temperature: a ViT's projector has a third layer, and its predictor ends in BatchNorm."""
    vit = _is_vit(config)
    size = _hidden_and_outputs(config, 4096, 256)
    heads = (
        projector(features, **size, layers=3 if vit else 2, **batch_norm),
        predictor(size["outputs"], size["hidden"], last_batch_norm=vit, last_bias=False, **batch_norm),
    )
    temperature = config.temperature or (0.2 if vit else 1.0)
    return MoCoV3(
        encoder, *heads, steps=sizes.steps, temperature=temperature, **_given(momentum=config.teacher_momentum)
    )


def _byol(config, encoder, features, batch_norm, sizes):
    """The paper's heads, 4096 hidden and 256 out."""
    size = _hidden_and_outputs(config, 4096, 256)
    head = projector(features, **size, layers=2, last_batch_norm=False, **batch_norm)
    prediction = predictor(size["outputs"], size["hidden"], **batch_norm)
    return BYOL(encoder, head, prediction, steps=sizes.steps, **_given(momentum=config.teacher_momentum))


def _swav(config, encoder, features, batch_norm, sizes):
    """The prototypes stand still for the first epoch."""
    size = _hidden_and_outputs(config, PROJECTION, CONTRASTED)
    head = projector(features, **size, layers=2, last_batch_norm=False, **batch_norm)
    given = _given(temperature=config.temperature, prototypes=config.prototypes)
    return SwAV(encoder, head, frozen_steps=sizes.steps // config.epochs, **given)


def _dino(config, encoder, features, batch_norm, sizes):
    """The last layer stands still for the first epoch; the head has BatchNorm where the encoder has it."""
    size, normalised = _hidden_and_outputs(config, 2048, 256), not _is_vit(config)
    epochs, share = DINO_WARMUP
    given = _given(temperature=config.temperature, prototypes=config.prototypes, momentum=config.teacher_momentum)
    return DINO(
        encoder,
        dino_projector(features, **size, batch_norms=normalised, **batch_norm),
        steps=sizes.steps,
        warmup_steps=round(sizes.steps * min(epochs / config.epochs, share)),
        frozen_steps=sizes.steps // config.epochs,
        **given,
    )


def _barlow(config, encoder, features, batch_norm, _sizes):
    return BarlowTwins(encoder, _plain_projector(config, features, batch_norm))


def _vicreg(config, encoder, features, batch_norm, _sizes):
    return VICReg(encoder, _plain_projector(config, features, batch_norm))


def _plain_projector(config, features, batch_norm):
    """3 × 8192, the last layer without BatchNorm and bias, as Barlow Twins and VICReg have it."""
    width = _width(config, 8192)
    return projector(features, width, width, last_batch_norm=False, last_bias=False, **batch_norm)


def _supervised(_config, encoder, _features, _batch_norm, sizes):
    classifier = keras.layers.Dense(sizes.classes, dtype="float32", name="classifier")
    return Supervised(encoder, classifier)


METHODS = {
    "simsiam": _simsiam,
    "simsiam_average": _simsiam_average,
    "simclr": _simclr,
    "mocov2": _mocov2,
    "mocov3": _mocov3,
    "byol": _byol,
    "swav": _swav,
    "dino": _dino,
    "barlow": _barlow,
    "vicreg": _vicreg,
    "supervised": _supervised,
}


def build(config, encoder, *, sizes, synchronized):
    """The method of a configuration, newly initialised, not compiled.

    Args:
        config: a `RunConfig`.
        encoder: a model from a view to a dict with `embedding` [B,D].
        sizes: the run's `Sizes`.
        synchronized: BatchNorm statistics over all replicas.

    Returns:
        A `methods.base.Method`.
    """
    features = encoder.output["embedding"].shape[-1]
    method = METHODS[config.method](config, encoder, features, {"synchronized": synchronized}, sizes)
    if config.rotation_weight:
        head = rotation_head(encoder.output["map"].shape[1:], synchronized=synchronized)
        method.second_task = RelativeRotation(head, weight=config.rotation_weight, seed=config.seed)
    return method
