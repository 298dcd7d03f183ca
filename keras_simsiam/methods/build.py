"""Each method with the heads and constants that its paper gives it, by the name of the train command's --method."""

import sys
import typing

from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.methods.alternating import Alternating
from keras_simsiam.methods.byol import BYOL
from keras_simsiam.methods.cross_modal import CrossModal
from keras_simsiam.methods.intra_modal import IntraModal
from keras_simsiam.methods.moco import MoCoV2
from keras_simsiam.methods.moving_average import MovingAverage
from keras_simsiam.methods.simclr import SimCLR
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.methods.supervised import Supervised
from keras_simsiam.methods.swav import SwAV
from keras_simsiam.models.heads import predictor, projector, side_by_side

PROJECTION = 2048  # size of SimSiam's z and p, and of all hidden layers (Chen & He, section 3; Zhu, section 3.3)
CONTRASTED = 128  # size of the projection that SimCLR, MoCo v2 and SwAV compare


class Sizes(typing.NamedTuple):
    """Of a run: optimizer steps, training samples, and classes among them (for `supervised`)."""

    steps: int
    samples: int
    classes: int


def _simsiam(config, encoder, features, batch_norm, _sizes):
    heads = _simsiam_heads(config, batch_norm)

    def projector_and_predictor(features):
        return _simsiam_projector(config, features, heads), predictor(PROJECTION, **heads)

    options = {"stop_gradient": config.stop_gradient, "symmetric": config.symmetric}
    if config.compare == "intra_modal":
        both = map(side_by_side, projector_and_predictor(features // 2), projector_and_predictor(features // 2))
        return IntraModal(encoder, *both, **options)
    if config.compare == "cross_modal":  # the heads take one modality at a time
        return CrossModal(encoder, *projector_and_predictor(features // 2), **options)
    if config.alternation > 1:
        heads_of_both = projector_and_predictor(features)
        return Alternating(encoder, *heads_of_both, steps=config.alternation, symmetric=config.symmetric)
    return SimSiam(encoder, *projector_and_predictor(features), **options)


def _simsiam_average(config, encoder, features, batch_norm, sizes):
    print(
        f"keeping averages of {sizes.samples} frames, {_averages_gb(sizes.samples):.3g} GB, on each device and in checkpoints",
        file=sys.stderr,
    )
    head = _simsiam_projector(config, features, _simsiam_heads(config, batch_norm))
    return MovingAverage(encoder, head, samples=sizes.samples)


def _averages_gb(samples):
    return samples * PROJECTION * 4 / 10**9


def check_memory(config, samples):
    """Refuses a run whose method would keep too much of its samples.

    Args:
        config: a `RunConfig`.
        samples: number of training samples.

    Raises:
        UserError: more than --cache_gb allows.
    """
    if config.method == "simsiam_average" and _averages_gb(samples) > config.cache_gb:
        raise UserError(
            f"`cache_gb={config.cache_gb:g}`: the averages of `method=simsiam_average`, {PROJECTION} numbers for each of "
            f"{samples} frames, need {_averages_gb(samples):.3g} GB on each device: allow more, or train on fewer frames"
        )


def _simsiam_heads(config, batch_norm):
    return batch_norm | {"batch_norms": config.head_batch_norm, "dropout": config.head_dropout}


def _simsiam_projector(config, features, heads):
    return projector(features, PROJECTION, PROJECTION, layers=config.projector_layers, **heads)


def _simclr(_config, encoder, features, batch_norm, _sizes):
    return SimCLR(encoder, projector(features, PROJECTION, CONTRASTED, layers=2, **batch_norm))


def _mocov2(config, encoder, features, _batch_norm, _sizes):
    head = projector(features, PROJECTION, CONTRASTED, layers=2, batch_norms=False)
    return MoCoV2(encoder, head, queue_size=config.queue_size)


def _byol(_config, encoder, features, batch_norm, sizes):
    """The paper's heads, 4096 hidden and 256 out."""
    head = projector(features, 4096, 256, layers=2, last_batch_norm=False, **batch_norm)
    return BYOL(encoder, head, predictor(256, 4096, **batch_norm), steps=sizes.steps)


def _swav(config, encoder, features, batch_norm, sizes):
    """The prototypes stand still for the first epoch."""
    head = projector(features, PROJECTION, CONTRASTED, layers=2, last_batch_norm=False, **batch_norm)
    return SwAV(encoder, head, frozen_steps=sizes.steps // config.epochs)


def _supervised(_config, encoder, _features, _batch_norm, sizes):
    classifier = keras.layers.Dense(sizes.classes, dtype="float32", name="classifier")
    return Supervised(encoder, classifier)


METHODS = {
    "simsiam": _simsiam,
    "simsiam_average": _simsiam_average,
    "simclr": _simclr,
    "mocov2": _mocov2,
    "byol": _byol,
    "swav": _swav,
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
    return METHODS[config.method](config, encoder, features, {"synchronized": synchronized}, sizes)
