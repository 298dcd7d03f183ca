"""The 3-D tower: voxels inside the encoder, its features next to those of colour, precision, saving, two replicas."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.modalities import NEUTRAL
from keras_simsiam.depth import depth_images, voxels
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.models import resnet, starting_weights
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.models.heads import predictor, projector
from keras_simsiam.models.voxels import Voxels
from keras_simsiam.optimization.optimizers import TorchSGD
from tests.methods import small

SIZE, WIDTH = 16, 2
INTRINSICS = np.float32([20.0, 20, 7.5, 7.5])


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    tf.keras.utils.set_random_seed(0)


def _depth(batch=2, seed=0):
    random = np.random.default_rng(seed)
    depth = random.uniform(0.7, 1.3, [batch, SIZE, SIZE]).astype(np.float32)
    depth[random.random(depth.shape) < 0.1] = 0
    return depth


def _view(batch=2, seed=0):
    levels = depth_images.encode(_depth(batch, seed), INTRINSICS, "voxels")
    return {"rgb": tf.random.stateless_uniform([batch, SIZE, SIZE, 3], [seed, 0]), "hha": levels / 255}


def _encoder(modality="rgbd", **options):
    return build_encoder(modality, "resnet18", SIZE, width=WIDTH, stem="cifar", voxels=True, **options)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_layer_gives_the_occupancy_of_the_depth_in_every_precision(policy):
    keras_compat.set_precision(policy)
    tower, view = _encoder("hha").get_layer("hha_tower"), _view()
    expected = voxels.occupancy(_depth(), INTRINSICS).numpy()
    inner = tf.keras.Model(tower.input, tower.get_layer("voxels").output)
    found = inner(view["hha"]).numpy()
    assert expected.sum() > 50 and np.abs(found - expected).sum() <= 4  # by rounding at borders of cells
    assert not inner(tf.ones([1, SIZE, SIZE, 3]) * NEUTRAL["hha"][:3]).numpy().any()  # a dropped image


def test_mixed_precision_changes_no_gradient_of_the_tower():
    """In bfloat16 the kernels of the last stage would have wrong ones on CPUs, or NaN."""
    found = []
    for policy in ("float32", "mixed_bfloat16"):
        keras_compat.set_precision(policy)
        tf.keras.utils.set_random_seed(0)
        encoder = _encoder("hha")
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(encoder({"hha": _view()["hha"]}, training=True)["embedding"][:, ::2])
        found.append(tape.gradient(loss, encoder.trainable_variables))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_mask_is_passed_over_and_sizes_are_free():
    layer, points = Voxels(dtype="float32"), _view()["hha"]
    masked = tf.concat([points, tf.zeros([2, SIZE, SIZE, 1])], -1)
    np.testing.assert_array_equal(layer(points), layer(masked))
    assert layer(points[:, :9]).shape == (2, 32, 32, 32, 3)
    again = Voxels.from_config(Voxels(size=8, extents=(1.0,), dtype="float32").get_config())
    assert again(points).shape == (2, 8, 8, 8, 1)


def test_a_hybrid_has_the_contract_of_two_towers():
    encoder, view = _encoder(), _view()
    outputs, features = encoder(view), 16 * WIDTH
    sides = {
        "c2": (16, 2 * WIDTH),
        "c3": (8, 4 * WIDTH),
        "c4": (4, 8 * WIDTH),
        "c5": (2, features),
        "map": (2, features),
    }
    expected = {name: (2, side, side, channels) for name, (side, channels) in sides.items()}
    assert {name: tuple(part.shape) for name, part in outputs.items()} == expected | {"embedding": (2, features)}
    depth = encoder.get_layer("hha_tower")(view["hha"])
    np.testing.assert_allclose(outputs["embedding"][:, 8 * WIDTH :], depth["embedding"], atol=1e-6)
    np.testing.assert_allclose(depth["embedding"], tf.reduce_mean(depth["map"], [1, 2]), atol=1e-5)
    other = encoder(view | {"rgb": view["rgb"][::-1]})["c3"]
    np.testing.assert_allclose(other[..., 2 * WIDTH :], outputs["c3"][..., 2 * WIDTH :], atol=1e-6)


@pytest.mark.slow
def test_a_hybrid_is_saved_and_takes_views_of_any_size(tmp_path):
    encoder, view = _encoder(), _view()
    right = encoder(view)["embedding"]
    keras_compat.portable(encoder).save(tmp_path / "encoder.keras")
    again = keras_compat.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(again(view)["embedding"], right, atol=1e-6)
    free = _encoder(any_size=True)  # for small crops
    free.set_weights(encoder.get_weights())
    np.testing.assert_allclose(free(view)["embedding"], right, atol=1e-6)
    small = {name: image[:, :8, :8] for name, image in view.items()}
    assert free(small)["embedding"].shape == right.shape


def test_the_order_of_pixels_is_lost_and_their_places_are_not():
    """What tells a 3-D tower from one of images."""
    tower, points = _encoder("hha"), _view()["hha"]
    right = tower({"hha": points})["embedding"].numpy()
    np.testing.assert_allclose(tower({"hha": tf.reverse(points, [1])})["embedding"], right, atol=1e-4)
    mirrored = tf.concat([256 / 255 - points[..., :1], points[..., 1:]], -1)
    assert np.abs(tower({"hha": mirrored})["embedding"] - right).max() > 1e-3


def test_the_moving_variance_is_unbiased_as_of_images():
    layer = resnet.batch_norm()
    x = tf.random.stateless_normal([2, 2, 2, 2, 3], [0, 0], stddev=3.0)
    layer(x, training=True)
    expected = 0.9 + 0.1 * np.var(x, axis=(0, 1, 2, 3), ddof=1)
    np.testing.assert_allclose(keras_compat.tf_variable(layer.moving_variance), expected, rtol=1e-5)


@pytest.mark.slow
def test_colours_tower_may_begin_from_another_run():
    hybrid, source = _encoder(), build_encoder("rgb", "resnet18", SIZE, width=WIDTH, stem="cifar")
    before = [weight.numpy() for weight in hybrid.get_layer("hha_tower").weights]
    lines = starting_weights.begin(hybrid, source, given="`init=a`", towers="rgb")
    assert len(lines) == 1 and lines[0].startswith("rgb_tower: all ")
    rgb = _view()["rgb"]
    np.testing.assert_allclose(
        hybrid.get_layer("rgb_tower")(rgb)["embedding"], source({"rgb": rgb})["embedding"], atol=1e-6
    )
    for then, weight in zip(before, hybrid.get_layer("hha_tower").weights, strict=True):
        np.testing.assert_array_equal(then, weight.numpy())
    with pytest.raises(UserError, match="holds no encoder"):
        starting_weights.begin(source, _encoder("hha"), given="`init=a`")


@pytest.mark.parametrize(("fusion", "backbone"), [("early", "resnet18"), ("two_tower", "resnet50")])
def test_what_does_not_go_with_a_3d_tower_is_refused(fusion, backbone):
    with pytest.raises(UserError, match="3-D tower"):
        build_encoder("rgbd", backbone, SIZE, fusion=fusion, width=WIDTH, voxels=True)


@pytest.mark.slow
def test_two_replicas_step_as_one(two_replicas):
    views = [
        tf.nest.map_structure(lambda *steps: tf.stack(steps), *(_view(4, 2 * v + s) for s in range(2))) for v in (0, 1)
    ]
    batches = {"views": tuple(views), "label": tf.zeros([2, 4], tf.int64), "index": tf.zeros([2, 4], tf.int64)}

    def trained():
        tf.keras.utils.set_random_seed(0)
        heads = projector(16 * WIDTH, 12, 10, layers=2, synchronized=True), predictor(10, 7, synchronized=True)
        method = SimSiam(_encoder(synchronized=True), *heads)
        method.compile(TorchSGD(0.1, momentum=0.9))
        method.optimizer.build(method.trained_variables)
        return small.trained(method, tf.data.Dataset.from_tensor_slices(batches))

    alone = trained()
    with two_replicas.scope():
        together = trained()
    small.assert_same(alone, together, 1e-3)  # small batches through BatchNorms enlarge roundings
