"""Both stacks compute the same: what TensorFlow 2.15 with Keras 2 made is in golden/two_stacks.npz, this one's must be equal.

`python -m tests.training.test_two_stacks`, on the classic stack, writes that file.
"""

import pathlib
import unittest.mock

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.methods.byol import BYOL
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.methods.swav import SwAV
from keras_simsiam.models import resnet
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.models.heads import predictor, projector
from keras_simsiam.optimization.lamb import lamb
from keras_simsiam.optimization.optimizers import LARS, TorchSGD
from tests.methods.small import batch_of

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "two_stacks.npz"
KEPT = 16  # values of each variable
SIDE, BATCH = 16, 32

OPTIMIZERS = {
    "sgd": lambda: TorchSGD(0.1, momentum=0.9, weight_decay=1e-3),
    "lars": lambda: LARS(0.5, weight_decay=1e-3),
    "lamb": lambda: lamb(0.05, weight_decay=1e-2),
    "lamb_all": lambda: lamb(0.05, weight_decay=1e-2, decay="all"),
    "adam": lambda: keras.optimizers.Adam(1e-2, epsilon=1e-8),  # of the depth network
}
METHODS = {
    "simsiam": lambda encoder, size: SimSiam(encoder, projector(size, 16, 16), predictor(16, 8)),
    "byol": lambda encoder, size: BYOL(encoder, projector(size, 16, 16, layers=2), predictor(16, 8), steps=10),
    "swav": lambda encoder, size: SwAV(encoder, projector(size, 16, 16, layers=2), prototypes=12),
}
ENCODERS = {
    "two_tower": {"hha_channels": 3},
    "shared": {"hha_channels": 4, "fusion": "shared", "depth_gate": True},
    "early": {"hha_channels": 3, "fusion": "early"},
}
CASES = [("simsiam", "two_tower", name) for name in OPTIMIZERS] + [
    ("simsiam", "shared", "sgd"),
    ("simsiam", "early", "sgd"),
    ("byol", "two_tower", "sgd"),
    ("swav", "two_tower", "lars"),
]


def _fill(model, random):
    """Weights that do not depend on how Keras draws its own; scales and variances stay positive."""
    for variable in model.variables:
        shape = tuple(variable.shape)
        limit = np.prod(shape[:-1]) ** -0.5 if len(shape) > 1 else 0.2
        around = 1.0 if "gamma" in variable.name or "variance" in variable.name else 0.0
        variable.assign(np.float32(around + random.uniform(-limit, limit, shape)))


def computed(method, encoder, optimizer):
    """What two steps make of a network: a dict of arrays."""
    options, random = ENCODERS[encoder], np.random.default_rng(0)
    with unittest.mock.patch.dict(resnet.BACKBONES, resnet18=((1, 1, 1, 1), False)):
        network = build_encoder("rgbd", "resnet18", SIDE, width=2, stem="cifar", **options)
    built = METHODS[method](network, network.output["embedding"].shape[-1])
    for part in (built.encoder, built.projector, getattr(built, "predictor", None)):
        if part is not None:
            _fill(part, random)
    for copy, model in zip(built.copies, (built.encoder, built.projector), strict=False):
        copy.set_weights(model.get_weights())
    if method == "swav":
        built.prototypes.assign(tf.math.l2_normalize(np.float32(random.normal(size=(16, 12))), axis=0))
    built.compile(OPTIMIZERS[optimizer](), jit_compile=False)

    channels = {"rgb": 3, "hha": options["hha_channels"]}
    views = [
        {name: np.float32(random.uniform(0, 1, (BATCH, SIDE, SIDE, c))) for name, c in channels.items()} for _ in "12"
    ]
    batch = batch_of(views)
    results = {"embedding": built.encoder(views[0], training=False)["embedding"].numpy()}
    with tf.GradientTape() as tape:
        loss = built.objective(batch)
    results["loss"] = loss.numpy()
    variables = [*built.encoder.trainable_variables, *built.projector.trainable_variables]
    for i, gradient in enumerate(tape.gradient(loss, variables)):
        results[f"gradient_{i}"] = gradient.numpy().ravel()[:KEPT]
    for _ in range(2):
        built.train_step(batch)
    for part in (built.encoder, built.projector, *built.copies):
        for variable in part.variables:
            # BatchNorm's moving statistics among them
            results[f"variable_{len(results)}"] = variable.numpy().ravel()[:KEPT]
    return results


@pytest.mark.parametrize(("method", "encoder", "optimizer"), CASES)
def test_the_other_stack_computes_the_same(method, encoder, optimizer):
    with np.load(GOLDEN) as golden:
        golden = golden[f"{method}_{encoder}_{optimizer}"]
    results = computed(method, encoder, optimizer)
    ends = np.cumsum([np.size(result) for result in results.values()])
    assert ends[-1] == len(golden)
    for (name, ours), theirs in zip(results.items(), np.split(golden, ends[:-1]), strict=True):
        # Adam and LAMB divide a gradient by its size: where that is next to nothing, so is what is known of its sign
        largest = 1.0 if optimizer in ("adam", "lamb", "lamb_all") else np.abs(theirs).max()
        np.testing.assert_allclose(np.ravel(ours), theirs, atol=1e-5 * largest + 1e-7, rtol=0, err_msg=name)


if __name__ == "__main__":
    cases = {"_".join(case): np.concatenate([np.ravel(value) for value in computed(*case).values()]) for case in CASES}
    np.savez_compressed(GOLDEN, **cases)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size} bytes")
