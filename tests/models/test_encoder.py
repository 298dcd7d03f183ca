"""The encoder's contract: any modality, a dict in and a dict out, saved by Keras's own layers only."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.modalities import NEUTRAL
from keras_simsiam.models import resnet
from keras_simsiam.models.encoder import FUSIONS, build_encoder


def _view(modality, batch=2, size=32):
    names = {"rgb": ["rgb"], "hha": ["hha"], "rgbd": ["rgb", "hha"]}[modality]
    return {name: tf.random.stateless_uniform([batch, size, size, 3], [1, len(name) + ord(name[0])]) for name in names}


@pytest.mark.parametrize("modality, features", [("rgb", 32), ("hha", 32), ("rgbd", 64)])
def test_features_and_save_and_reload(tmp_path, modality, features):
    encoder = build_encoder(modality, "resnet18", 32, width=4)
    outputs = encoder(_view(modality))
    assert set(outputs) == {"embedding", "map", "c2", "c3", "c4", "c5"}
    assert outputs["embedding"].shape == (2, features)
    np.testing.assert_allclose(outputs["embedding"], tf.reduce_mean(outputs["map"], [1, 2]), atol=1e-5)

    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras", compile=False)
    np.testing.assert_allclose(again(_view(modality))["embedding"], outputs["embedding"], atol=1e-6)


def test_towers_are_side_by_side_and_do_not_share():
    encoder = build_encoder("rgbd", "resnet18", 32, width=4)
    view = _view("rgbd")
    whole = encoder(view)["embedding"].numpy()
    alone = [encoder.get_layer(f"{name}_tower")(view[name])["embedding"] for name in ("rgb", "hha")]
    np.testing.assert_allclose(whole, np.concatenate(alone, axis=1), atol=1e-6)
    other_colour = encoder(view | {"rgb": view["rgb"][::-1]})["embedding"].numpy()
    np.testing.assert_allclose(other_colour[:, 32:], whole[:, 32:], atol=1e-6)
    assert not np.allclose(other_colour[:, :32], whole[:, :32])


def test_embedding_is_float32_in_every_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    outputs = build_encoder("rgbd", "resnet18", 32, width=4)(_view("rgbd"))
    assert outputs["embedding"].dtype == tf.float32 and outputs["map"].dtype == tf.bfloat16


def test_a_dropped_hha_is_zero_to_its_tower():
    tower = build_encoder("hha", "resnet18", 32, width=4).get_layer("hha_tower")
    rescaling = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    np.testing.assert_allclose(rescaling(tf.fill([1, 2, 2, 3], 128 / 255)), 0, atol=1e-6)


@pytest.mark.parametrize("modality", ["hha", "rgbd"])
def test_a_mask_beside_hha(tmp_path, modality):
    encoder = build_encoder(modality, "resnet18", 32, hha_channels=4, width=4)
    view = _view(modality)
    measured = view | {"hha": tf.concat([view["hha"], tf.ones([2, 32, 32, 1])], -1)}
    missing = view | {"hha": tf.concat([view["hha"], tf.zeros([2, 32, 32, 1])], -1)}
    assert not np.allclose(encoder(measured)["embedding"], encoder(missing)["embedding"])
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras", compile=False)
    np.testing.assert_allclose(again(measured)["embedding"], encoder(measured)["embedding"], atol=1e-6)


def test_a_dropped_hha_with_its_mask_is_zero_to_its_tower():
    tower = build_encoder("hha", "resnet18", 32, hha_channels=4, width=4).get_layer("hha_tower")
    rescaling = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    dropped = tf.concat([tf.fill([1, 2, 2, 3], 128 / 255), tf.zeros([1, 2, 2, 1])], -1)
    np.testing.assert_allclose(rescaling(dropped), 0, atol=1e-6)
    np.testing.assert_allclose(rescaling(tf.ones([1, 2, 2, 4]))[..., 3], 1)


def _with_mask(view, mask):
    return view | {"hha": tf.concat([view["hha"], mask], -1)}


# By hand, ResNet-18 of width 4 behind its stem: 3×3 convolutions of 4, 8, 16 and 32 channels, and the 1×1 of the shortcuts
_STAGES = 4 * 9 * 16 + (9 * 32 + 3 * 9 * 64 + 32) + (9 * 128 + 3 * 9 * 256 + 128) + (9 * 512 + 3 * 9 * 1024 + 512)
_BATCH_NORMS = 2 * (5 * 4 + 5 * 8 + 5 * 16 + 5 * 32)  # scale and offset of each convolution's channels


def _backbone(channels):
    return 7 * 7 * channels * 4 + _STAGES + _BATCH_NORMS


@pytest.mark.parametrize(
    "fusion, hha_channels, features, parameters",
    [
        ("two_tower", 3, 64, 2 * _backbone(3)),
        ("two_tower", 4, 64, _backbone(3) + _backbone(4)),
        ("exchange_c3", 3, 64, 2 * (_backbone(3) + 8 * 8 + 2 * 8)),
        ("exchange_c4", 3, 64, 2 * (_backbone(3) + 16 * 16 + 2 * 16)),
        ("early", 3, 32, _backbone(6)),
        ("early", 4, 32, _backbone(7)),
        ("shared", 3, 64, _backbone(3)),
        ("shared", 4, 64, _backbone(4)),
    ],
)
def test_features_and_parameters_of_a_fusion(fusion, hha_channels, features, parameters):
    encoder = build_encoder("rgbd", "resnet18", 32, hha_channels=hha_channels, fusion=fusion, width=4)
    assert sum(np.prod(variable.shape) for variable in encoder.trainable_variables) == parameters
    view = _view("rgbd") if hha_channels == 3 else _with_mask(_view("rgbd"), tf.ones([2, 32, 32, 1]))
    outputs = encoder(view)
    sides = {"embedding": None, "map": 1, "c2": 8, "c3": 4, "c4": 2, "c5": 1}
    assert set(outputs) == set(sides)
    for key, side in sides.items():
        channels = features if key in ("embedding", "map") else features // 2 ** (5 - int(key[1]))
        assert outputs[key].shape == ((2, channels) if side is None else (2, side, side, channels)), key


@pytest.fixture
def shallow(monkeypatch):
    """Half of ResNet-18's blocks: building the graph is most of a test's time."""
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))


@pytest.mark.parametrize(
    "fusion, gate", [("two_tower", True), ("exchange_c3", False), ("early", False), ("shared", True)]
)
def test_a_fusion_in_a_graph_and_reloaded(shallow, tmp_path, fusion, gate):
    encoder = build_encoder("rgbd", "resnet18", 32, hha_channels=4, fusion=fusion, depth_gate=gate, width=4)
    view = _with_mask(_view("rgbd"), tf.fill([2, 32, 32, 1], 0.5))
    expected = encoder(view)["embedding"]
    np.testing.assert_allclose(tf.function(encoder)(view)["embedding"], expected, atol=1e-5)
    views = tf.data.Dataset.from_tensors(view).map(lambda view: encoder(view)["embedding"])
    np.testing.assert_allclose(next(iter(views)), expected, atol=1e-5)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras", compile=False)
    np.testing.assert_allclose(again(view)["embedding"], expected, atol=1e-6)


def test_an_exchange_starts_as_two_towers_and_then_mixes(shallow):
    encoder, view = build_encoder("rgbd", "resnet18", 32, fusion="exchange_c4", width=4), _view("rgbd")
    for layer in encoder.layers:  # as if trained: the exchange is open
        if layer.name == "rgb_from_hha_norm":
            norm = layer
    other_depth = view | {"hha": view["hha"][::-1]}

    def features():
        first, second = (encoder(each) for each in (view, other_depth))
        return first["embedding"][:, :32], second["embedding"][:, :32], first["c3"], second["c3"]

    colour, again, _, _ = features()
    np.testing.assert_allclose(again, colour, atol=1e-6)
    norm.gamma.assign(tf.ones_like(norm.gamma))
    colour, again, before, before_again = features()
    assert not np.allclose(again, colour, atol=1e-3)
    np.testing.assert_allclose(before[..., :8], before_again[..., :8], atol=1e-6)  # colour's map is colour's until c4


@pytest.mark.parametrize("after", ["c2", "c4"])
def test_the_halves_of_a_resnet_are_the_whole(shallow, after):
    whole, (lower, upper) = (
        resnet.resnet("resnet18", 32, width=4),
        resnet.resnet_halves("resnet18", 32, after, "rgb", width=4),
    )
    lower.set_weights(whole.get_weights()[: len(lower.weights)])
    upper.set_weights(whole.get_weights()[len(lower.weights) :])
    images = _view("rgb")["rgb"]
    expected, maps = whole(images), lower(images)
    found = maps | upper(maps[after])
    assert set(found) == set(expected)
    for name, feature in expected.items():
        np.testing.assert_allclose(found[name], feature, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_reach_both_modalities(shallow, fusion):
    encoder, view = build_encoder("rgbd", "resnet18", 32, fusion=fusion, width=4), _view("rgbd")
    with tf.GradientTape() as tape:
        tape.watch(view)
        loss = tf.reduce_sum(encoder(view, training=True)["embedding"] ** 3)
    gradients, by_weight = tape.gradient(loss, (view, encoder.trainable_variables))
    assert all(float(tf.reduce_max(tf.abs(gradients[name]))) > 1e-3 for name in ("rgb", "hha"))
    assert all(gradient is not None for gradient in by_weight)


def test_early_fusion_stacks_each_modalitys_own_normalisation(shallow):
    encoder = build_encoder("rgbd", "resnet18", 32, hha_channels=4, fusion="early", width=4)
    view = _with_mask(_view("rgbd"), tf.ones([2, 32, 32, 1]))
    stacked = keras.Model(encoder.input, encoder.get_layer("stacked").output)(view)
    rgb = (view["rgb"] - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    hha = (view["hha"][..., :3] - 128 / 255) / 0.25
    np.testing.assert_allclose(stacked, tf.concat([rgb, hha, view["hha"][..., 3:]], -1), atol=1e-5)


def test_a_dropped_image_is_zero_to_the_network(shallow):
    encoder = build_encoder("rgbd", "resnet18", 32, hha_channels=4, fusion="early", width=4)
    view = {name: tf.tile(tf.constant(value)[None, None, None], [1, 32, 32, 1]) for name, value in NEUTRAL.items()}
    stacked = keras.Model(encoder.input, encoder.get_layer("stacked").output)(view)
    np.testing.assert_allclose(stacked, np.zeros([1, 32, 32, 7]), atol=1e-6)


def test_a_shared_backbone_treats_both_modalities_alike(shallow):
    """An HHA image that is RGB once each is normalised has RGB's features, and a colour image counts as measured."""
    encoder = build_encoder("rgbd", "resnet18", 32, hha_channels=4, fusion="shared", width=4)
    rgb = _view("rgbd")["rgb"]
    hha = 0.25 * (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225] + 128 / 255
    whole = encoder({"rgb": rgb, "hha": tf.concat([hha, tf.ones([2, 32, 32, 1])], -1)})["embedding"]
    np.testing.assert_allclose(whole[:, :32], whole[:, 32:], atol=1e-4)


def _called_twice():
    """What `shared` is not: one backbone that is called for each modality in turn."""
    view = {name: keras.Input((32, 32, 3), name=name) for name in ("rgb", "hha")}
    backbone = resnet.resnet("resnet18", 32, stem="cifar", width=4)
    embeddings = [backbone(4 * images - 2)["embedding"] for images in view.values()]
    return keras.Model(view, {"embedding": keras.layers.Concatenate()(embeddings)})


def _gap(encoder, view):
    """Largest relative difference of a feature between training and inference, on a batch that is seen many times."""
    trained = tf.function(lambda: encoder(view, training=True)["embedding"])
    for _ in range(80):  # the moving statistics keep 0.9⁸⁰ of where they began
        expected = trained()
    error = tf.norm(encoder(view)["embedding"] - expected, axis=0) / tf.norm(expected, axis=0)
    return float(tf.reduce_max(error))


def test_a_shared_backbone_infers_with_the_statistics_it_trained_on(shallow):
    keras.utils.set_random_seed(0)
    view = _view("rgbd", batch=8)
    view["hha"] = 0.1 * view["hha"]  # far from colours in mean and spread
    assert _gap(build_encoder("rgbd", "resnet18", 32, fusion="shared", stem="cifar", width=4), view) < 0.05
    assert _gap(_called_twice(), view) > 0.5


@pytest.mark.parametrize("fusion", ["two_tower", "shared"])
def test_the_gate_weighs_depth_by_the_share_that_was_measured(shallow, fusion):
    encoder = build_encoder("rgbd", "resnet18", 32, hha_channels=4, fusion=fusion, depth_gate=True, width=4)
    mask = np.zeros([3, 32, 32, 1], np.float32)  # nothing, half and all of a view measured
    mask[1, :, 16:], mask[2] = 1, 1
    found = encoder(_with_mask(_view("rgbd", batch=3), mask))
    rgb, hha = np.split(tf.reduce_mean(found["map"], [1, 2]), 2, axis=1)  # pooled and not weighed
    np.testing.assert_allclose(found["embedding"][:, :32], rgb, atol=1e-5)
    np.testing.assert_allclose(found["embedding"][:, 32:], hha * [[0], [0.5], [1]], atol=1e-5)
    assert np.linalg.norm(hha, axis=1).min() > 0.1


@pytest.mark.parametrize("fusion", ["two_tower", "shared"])
def test_a_token_stands_for_what_is_missing(shallow, fusion):
    """A dropped image has the token for its half of the embedding and no maps; the rest is as without."""
    options = {"hha_channels": 4, "fusion": fusion, "width": 4}
    plain = build_encoder("rgbd", "resnet18", 32, **options)
    encoder = build_encoder("rgbd", "resnet18", 32, missing_token=True, **options)
    tokens = {name: encoder.get_layer(f"{name}_token") for name in ("rgb", "hha")}
    for value, token in enumerate(tokens.values(), 1):
        token.set_weights([np.full([1, 32], float(value))])
    rest = [weight for weight in encoder.weights if "token" not in getattr(weight, "path", weight.name)]
    for weight, value in zip(rest, plain.get_weights(), strict=True):
        weight.assign(value)
    view = _with_mask(_view("rgbd", batch=3), tf.ones([3, 32, 32, 1]))
    neutral = {name: tf.tile(tf.constant(value)[None, None, None], [1, 32, 32, 1]) for name, value in NEUTRAL.items()}
    view["hha"] = tf.concat([view["hha"][:2], 1.0000001 * neutral["hha"]], 0)  # the second sample has both
    view["rgb"] = tf.concat([neutral["rgb"], view["rgb"][1:]], 0)
    found, expected = encoder(view), plain(view)
    for key, feature in expected.items():
        rgb, hha = np.split(np.array(feature), 2, axis=-1)
        rgb[0], hha[2] = (1, 2) if key == "embedding" else (0, 0)
        np.testing.assert_allclose(found[key], np.concatenate([rgb, hha], -1), atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(view, training=True)["embedding"])
    by_weight = tape.gradient(loss, [token.trainable_variables[0] for token in tokens.values()])
    np.testing.assert_allclose(by_weight, np.ones([2, 1, 32]))


ALONE = """
import sys
import numpy, tensorflow as tf
assert not any(name.startswith("keras_simsiam") for name in sys.modules)
encoder = tf.keras.models.load_model(sys.argv[1], compile=False)
view = {name: tf.constant(value) for name, value in numpy.load(sys.argv[2]).items()}
numpy.save(sys.argv[3], encoder(view)["embedding"])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fusion", "option"),
    [
        ("two_tower", "depth_gate"),
        ("two_tower", "missing_token"),
        ("exchange_c4", ""),
        ("early", ""),
        ("shared", "depth_gate"),
    ],
)
def test_a_saved_encoder_loads_without_this_package(tmp_path, fusion, option):
    options = {option: True} if option else {}
    encoder = build_encoder("rgbd", "resnet18", 32, hha_channels=4, fusion=fusion, width=4, **options)
    view = _with_mask(_view("rgbd"), tf.fill([2, 32, 32, 1], 0.5))
    encoder.save(tmp_path / "encoder.keras")
    np.savez(tmp_path / "view.npz", **view)
    files = [str(tmp_path / name) for name in ("encoder.keras", "view.npz", "found.npy")]
    subprocess.run([sys.executable, "-I", "-c", ALONE, *files], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(files[2]), encoder(view)["embedding"], atol=1e-5)


@pytest.mark.parametrize(
    ("fusion", "stem"),
    [
        ("rgb", "imagenet"),
        ("two_tower", "cifar"),
        *(pytest.param(name, "cifar", marks=pytest.mark.slow) for name in FUSIONS if name != "two_tower"),
    ],
)
def test_any_size_has_the_same_weights_and_takes_small_views_too(fusion, stem):
    """As small crops need it: in the same order, so that an encoder of one size takes the weights after training."""
    options = {"modality": "rgb"} if fusion == "rgb" else {"modality": "rgbd", "fusion": fusion}
    if fusion == "shared":
        options |= {"hha_channels": 4, "depth_gate": True}
    fixed, free = (
        build_encoder(backbone="resnet18", image_size=32, width=4, stem=stem, any_size=any_size, **options)
        for any_size in (False, True)
    )
    assert [w.shape for w in fixed.get_weights()] == [w.shape for w in free.get_weights()]
    views = [
        {
            name: tf.random.stateless_uniform([2, size, size, image.shape[-1]], [1, size])
            for name, image in fixed.input.items()
        }
        for size in (32, 16)
    ]
    for view in views:
        assert free(view, training=True)["embedding"].shape == (2, fixed.output["embedding"].shape[-1])
    fixed.set_weights(free.get_weights())
    np.testing.assert_allclose(free(views[0])["embedding"], fixed(views[0])["embedding"], atol=1e-5)
