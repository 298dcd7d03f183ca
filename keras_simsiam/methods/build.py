"""Each method with the heads and constants that its paper gives it, by the name of the train command's --method."""

from tensorflow import keras

from keras_simsiam.methods.byol import BYOL
from keras_simsiam.methods.moco import MoCoV2
from keras_simsiam.methods.simclr import SimCLR
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.methods.supervised import Supervised
from keras_simsiam.methods.swav import SwAV
from keras_simsiam.models.heads import predictor, projector

PROJECTION = 2048  # size of SimSiam's z and p, and of all hidden layers (Chen & He, section 3; Zhu, section 3.3)
CONTRASTED = 128  # size of the projection that SimCLR, MoCo v2 and SwAV compare


def _simsiam(config, encoder, features, batch_norm, _steps, _classes):
    heads = batch_norm | {"batch_norms": config.head_batch_norm, "dropout": config.head_dropout}
    return SimSiam(
        encoder,
        projector(features, PROJECTION, PROJECTION, config.projector_layers, **heads),
        predictor(PROJECTION, **heads),
        config.stop_gradient,
        config.symmetric,
    )


def _simclr(_config, encoder, features, batch_norm, _steps, _classes):
    return SimCLR(encoder, projector(features, PROJECTION, CONTRASTED, layers=2, **batch_norm))


def _mocov2(config, encoder, features, _batch_norm, _steps, _classes):
    head = projector(features, PROJECTION, CONTRASTED, layers=2, batch_norms=False)
    return MoCoV2(encoder, head, config.queue_size)


def _byol(_config, encoder, features, batch_norm, steps, _classes):
    """The paper's heads, 4096 hidden and 256 out."""
    head = projector(features, 4096, 256, layers=2, last_batch_norm=False, **batch_norm)
    return BYOL(encoder, head, predictor(256, 4096, **batch_norm), steps)


def _swav(config, encoder, features, batch_norm, steps, _classes):
    """The prototypes stand still for the first epoch."""
    head = projector(features, PROJECTION, CONTRASTED, layers=2, last_batch_norm=False, **batch_norm)
    return SwAV(encoder, head, frozen_steps=steps // config.epochs)


def _supervised(_config, encoder, features, _batch_norm, _steps, classes):
    classifier = keras.layers.Dense(classes, dtype="float32", name="classifier")
    classifier.build([None, features])  # the optimizer is built, and a checkpoint restored, before the first step
    return Supervised(encoder, classifier)


METHODS = {
    "simsiam": _simsiam,
    "simclr": _simclr,
    "mocov2": _mocov2,
    "byol": _byol,
    "swav": _swav,
    "supervised": _supervised,
}


def build(config, encoder, steps, classes, synchronized):
    """The method of a configuration, newly initialised, not compiled.

    Args:
        config: a `RunConfig`.
        encoder: a model from a view to a dict with `embedding` [B,D].
        steps: optimizer steps of the whole run.
        classes: number of labels, for `supervised`.
        synchronized: BatchNorm statistics over all replicas.

    Returns:
        A `methods.base.Method`.
    """
    features = encoder.output["embedding"].shape[-1]
    return METHODS[config.method](config, encoder, features, {"synchronized": synchronized}, steps, classes)
