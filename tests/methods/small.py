"""Every method with networks that are quick to trace, for what all of them must do alike."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.barlow import BarlowTwins
from keras_simsiam.methods.byol import BYOL
from keras_simsiam.methods.dino import DINO
from keras_simsiam.methods.moco import MoCoV2
from keras_simsiam.methods.mocov3 import MoCoV3
from keras_simsiam.methods.objectives import Objectives
from keras_simsiam.methods.simclr import SimCLR
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.methods.supervised import Supervised
from keras_simsiam.methods.swav import SwAV
from keras_simsiam.methods.vicreg import VICReg
from keras_simsiam.models.heads import dino_projector, predictor, projector
from keras_simsiam.models.resnet import batch_norm
from keras_simsiam.optimization.optimizers import TorchSGD

SIDE, BATCH, STEPS = 6, 8, 2
SMALL_SIDE, SMALL_VIEWS = 4, 3


def batch_of(views, label=None, index=None):
    """Two views as a batch, as `views.batches.view_batches` gives it: unlabelled and in order where nothing else is said."""
    count = len(next(iter(views[0].values())))
    label = np.full(count, -1) if label is None else label
    index = np.arange(count) if index is None else index
    return {"views": tuple(views), "label": tf.constant(label, tf.int64), "index": tf.constant(index, tf.int64)}


def linear_towers():
    """Two linear towers on 2×2 pixels, three features each, concatenated."""
    keras.utils.set_random_seed(0)
    view = {name: keras.Input((2, 2, 3), name=name) for name in ("rgb", "hha")}
    towers = [
        keras.layers.Dense(3, name=f"{name}_tower")(keras.layers.Flatten()(images)) for name, images in view.items()
    ]
    return keras.Model(view, {"embedding": keras.layers.Concatenate()(towers)})


def _encoder():
    images = keras.Input((None, None, 3), name="rgb")
    x = keras.layers.ReLU()(batch_norm(True)(keras.layers.Conv2D(6, 3)(images)))
    return keras.Model({"rgb": images}, {"embedding": keras.layers.GlobalAveragePooling2D(dtype="float32")(x)})


def _projector(features=6):
    return projector(features, 12, 10, layers=2, synchronized=True)


def _plain_projector():
    return projector(6, 12, 10, layers=2, last_batch_norm=False, last_bias=False, synchronized=True)


def _predictor():
    return predictor(10, 7, synchronized=True)


def _classifier():
    classifier = keras.layers.Dense(4, dtype="float32")
    classifier.build((None, 6))
    return classifier


def _dino():
    return DINO(
        _encoder(),
        dino_projector(6, 12, 10, batch_norms=True, synchronized=True),
        prototypes=5,
        steps=10,
        warmup_steps=4,
        momentum=0.9,
    )


def _objectives(method):
    """A method on the embedding and on parts of it, whose halves stand for colour and depth."""
    encoder = _encoder()
    weights = {"joint": 1.0, "rgb": 0.5, "cross": 2.0}
    return Objectives(encoder, {term: method(encoder, 6 if term == "joint" else 3) for term in weights}, weights)


METHODS = {
    "simsiam": lambda: SimSiam(_encoder(), _projector(), _predictor()),
    "simclr": lambda: SimCLR(_encoder(), _projector()),
    "simsiam_objectives": lambda: _objectives(lambda encoder, size: SimSiam(encoder, _projector(size), _predictor())),
    "simclr_objectives": lambda: _objectives(lambda encoder, size: SimCLR(encoder, _projector(size))),
    "mocov2": lambda: MoCoV2(_encoder(), _projector(), queue_size=11, momentum=0.9),
    "byol": lambda: BYOL(_encoder(), _projector(), _predictor(), steps=10, momentum=0.9),
    "swav": lambda: SwAV(_encoder(), _projector(), prototypes=5),
    "swav_small_views": lambda: SwAV(_encoder(), _projector(), prototypes=5),
    "mocov3": lambda: MoCoV3(_encoder(), _projector(), _predictor(), steps=10, momentum=0.9),
    "dino": _dino,
    "dino_small_views": _dino,
    "barlow": lambda: BarlowTwins(_encoder(), _plain_projector()),
    "vicreg": lambda: VICReg(_encoder(), _plain_projector(), invariance=1, variance=1, covariance=0.04),
    "supervised": lambda: Supervised(_encoder(), _classifier()),
}


def build(name, **compiled):
    """A method, compiled, the same at every call and in every process."""
    keras.utils.set_random_seed(0)
    method = METHODS[name]()
    method.compile(TorchSGD(0.1, momentum=0.9, weight_decay=1e-3), **compiled)
    # as a run does: over several devices Keras 3's `fit` would build it for the copies of a network too
    method.optimizer.build(method.trained_variables)
    return method


def batches(name=""):
    """The global batches of a method. The statistics of a part are not those of all: contrast rises with the row."""
    random = np.random.default_rng(0)
    contrast = np.linspace(0.2, 2, BATCH)[:, None, None, None]
    sides = (SIDE, SIDE, *([SMALL_SIDE] * SMALL_VIEWS if name.endswith("small_views") else ()))
    views = tuple(
        {"rgb": (contrast * random.uniform(size=(STEPS, BATCH, side, side, 3))).astype(np.float32)} for side in sides
    )
    labels, index = random.integers(0, 4, (STEPS, BATCH)), np.tile(np.arange(BATCH), (STEPS, 1))
    return tf.data.Dataset.from_tensor_slices({"views": views, "label": labels, "index": index})


class Numbers(keras.callbacks.Callback):
    """What is logged after each batch and at the end."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(dict(logs))

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(dict(logs))


def trained(method, dataset):
    """What two steps leave: the numbers logged after each and after the epoch, and every variable but the metrics'."""
    numbers = Numbers()
    method.fit(dataset, epochs=1, steps_per_epoch=STEPS, verbose=0, callbacks=[numbers])
    running = {id(variable) for metric in method.metrics for variable in metric.variables}
    variables = [variable for variable in method.weights if id(variable) not in running]
    return numbers.seen, [variable.numpy() for variable in (*variables, *method.optimizer.variables)]


def assert_same(one, two, tolerance=1e-5):
    """What `trained` gave of two methods is the same."""
    (logs, weights), (other_logs, other_weights) = one, two
    assert len(logs) == len(other_logs) == STEPS + 1 and len(weights) == len(other_weights)
    for numbers, other in zip(logs, other_logs, strict=True):
        assert set(numbers) == set(other)
        np.testing.assert_allclose(
            [other[name] for name in numbers], list(numbers.values()), rtol=tolerance, atol=tolerance
        )
    for weight, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(other, weight, atol=tolerance)
