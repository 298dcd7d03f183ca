"""The ViT against its published form: parameters, positions, initialisers, and sizes that it was not built for."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models import vit
from keras_simsiam.models.dropout import DropPath
from keras_simsiam.models.encoder import EXCHANGES, FUSIONS, build_encoder


@pytest.fixture(autouse=True)
def _fewer_blocks(monkeypatch):
    """Tracing the blocks is most of a test's time."""
    monkeypatch.setattr(vit, "DEPTH", 4)


def images(size=16, batch=2, channels=3):
    return tf.random.stateless_uniform([batch, size, size, channels], [size, channels])


@pytest.mark.parametrize(
    # timm's counts of ViT-Ti, -S and -B at 224 pixels, without the classifier: 5,524,416, 21,665,664 and 85,798,656
    "name, published",
    [("vit_ti", 5_524_416), ("vit_s", 21_665_664), ("vit_s_12heads", 21_665_664), ("vit_b", 85_798_656)],
)
def test_has_the_published_parameters(name, published):
    model = vit.vit(name, 224)
    width = vit.BACKBONES[name][0]
    block = 12 * width**2 + 13 * width  # four matrices, six of width² in the MLP's two; biases and norms
    assert sum(np.prod(weight.shape) for weight in model.weights) == published - 8 * block
    assert {key: value.shape[1:] for key, value in model.output.items()} == {
        "embedding": (width,),
        **dict.fromkeys(("map", "c2", "c3", "c4", "c5"), (14, 14, width)),
    }
    positions = 197 * width  # fixed
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == published - 8 * block - positions


def test_starts_as_moco_v3_does():
    """Uniform of a variance of 2 / (fan_in + fan_out), of queries, keys and values each; biases of zero."""
    model = vit.vit("vit_ti", 32)
    for name, fans in {
        "patch_embed_proj": 3 * 16 * 16 + 192,
        "blocks_0_attn_qkv": 2 * 192,
        "blocks_1_attn_proj": 2 * 192,
        "blocks_2_mlp_fc1": 5 * 192,
        "blocks_3_mlp_fc2": 5 * 192,
    }.items():
        layer = model.get_layer(name)
        assert np.std(layer.kernel) == pytest.approx((2 / fans) ** 0.5, rel=0.02), name
        assert not np.any(layer.bias)
    assert 5e-7 < np.std(model.get_layer("tokens").class_token) < 2e-6
    kernels = [model.get_layer(f"blocks_{block}_attn_qkv").kernel.numpy() for block in (0, 1)]
    assert not np.array_equal(*kernels)


def test_positions_tell_row_and_column():
    """By hand, of 8 channels: frequencies 1 and 1/100."""
    table = vit.sincos(3, 8)[0]
    assert table.shape == (10, 8) and not table[0].any()
    row, column = 2, 1
    angles = [row, row / 100], [column, column / 100]
    expected = np.concatenate([function(angle) for angle in angles for function in (np.sin, np.cos)])
    np.testing.assert_allclose(table[1 + 3 * row + column], expected, atol=1e-6)


def test_interpolation_keeps_what_is_constant_and_nearly_what_is_linear():
    matrix = vit.bicubic(8, 12).numpy()
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    inside = matrix @ np.arange(8.0)
    np.testing.assert_allclose(inside[2:-2], (np.arange(2, 10) + 0.5) * 8 / 12.1 - 0.5, atol=0.05)
    np.testing.assert_allclose(vit.resized(np.ones((1, 10, 4), np.float32), 5, 2), np.ones((1, 11, 4)), atol=1e-6)


def test_any_size_has_the_same_weights_and_features():
    fixed, free = (build_encoder("rgb", "vit_ti", 16, patch=4, any_size=any_size) for any_size in (False, True))
    assert [weight.shape for weight in free.weights] == [weight.shape for weight in fixed.weights]
    free.set_weights(fixed.get_weights())
    np.testing.assert_allclose(free({"rgb": images()})["embedding"], fixed({"rgb": images()})["embedding"], atol=1e-6)
    features = tf.function(free)({"rgb": tf.zeros([1, 24, 8, 3])})
    assert features["map"].shape == (1, 6, 2, 192)


def test_attention_is_its_definition():
    """Each head in NumPy, one query after the other."""
    inputs = np.random.default_rng(0).normal(size=(1, 5, 3 * 8)).astype(np.float32)
    queries, keys, values = inputs[0].reshape(5, 3, 2, 4).transpose(1, 2, 0, 3)
    expected = np.zeros((5, 2, 4))
    for head in range(2):
        for token in range(5):
            scores = np.exp(keys[head] @ queries[head, token] / 2)
            expected[token, head] = scores @ values[head] / scores.sum()
    np.testing.assert_allclose(vit.SelfAttention(2)(inputs)[0], expected.reshape(5, 8), atol=1e-5)


@pytest.mark.parametrize(
    "fusion",
    ["early", *(pytest.param(name, marks=pytest.mark.slow) for name in FUSIONS if name not in ("early", *EXCHANGES))],
)
def test_a_fusion_saved_and_reloaded(tmp_path, fusion):
    """With all that a ViT may have."""
    options = {"patch": 8, "positions": "learned", "drop_path": 0.2, "frozen_patch": True}
    gate = fusion != "early"
    encoder = build_encoder("rgbd", "vit_ti", 16, hha_channels=4, fusion=fusion, depth_gate=gate, **options)
    view = {"rgb": images(), "hha": images(channels=4)}
    outputs = encoder(view)
    towers = 1 if fusion == "early" else 2
    assert outputs["embedding"].shape == (2, 192 * towers) and outputs["c2"].shape == (2, 2, 2, 192 * towers)
    assert len(encoder.weights) - len(encoder.trainable_weights) == 2 * (2 if fusion == "two_tower" else 1)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras", compile=False)
    np.testing.assert_allclose(again(view)["embedding"], outputs["embedding"], atol=1e-6)
    assert len(again.trainable_weights) == len(encoder.trainable_weights)


def test_gradients_reach_all_that_is_trained():
    model = vit.vit("vit_ti", 16, patch=8, frozen_patch=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images(), training=True)["embedding"] ** 3)
    gradients = tape.gradient(loss, model.trainable_weights)
    assert len(gradients) == 1 + 4 * 12 + 2  # class token, blocks, last norm
    assert all(float(tf.reduce_max(tf.abs(gradient))) > 0 for gradient in gradients)


def test_features_are_float32_in_bfloat16():
    """Norms, sums and softmax too: the features are those of float32 but for the rounding of the products."""
    full = vit.vit("vit_ti", 16, patch=8)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    mixed = vit.vit("vit_ti", 16, patch=8)
    mixed.set_weights(full.get_weights())
    found, expected = mixed(images())["embedding"], full(images())["embedding"]
    assert found.dtype == tf.float32 and mixed.get_layer("blocks_0_attn_qkv").compute_dtype == "bfloat16"
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_stochastic_depth_rises_and_drops_whole_samples():
    model = vit.vit("vit_ti", 16, patch=8, drop_path=0.3)
    rates = [layer.rate for layer in model.layers if isinstance(layer, DropPath)]
    np.testing.assert_allclose(sorted(rates), [0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    dropped = DropPath(0.25)(tf.ones([4000, 2, 3]), training=True).numpy()
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert np.all(dropped == dropped[:, :1, :1]) and abs(np.mean(dropped == 0) - 0.25) < 0.03
    np.testing.assert_array_equal(model(images())["embedding"], model(images(), training=False)["embedding"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "vit_l"}, "`backbone=vit_l`: choose one of vit_ti, vit_s, "),
        ({"positions": "none"}, "`positions=none`: choose one of sincos, learned"),
        ({"image_size": 100}, "`image_size=100`: `patch=16` does not divide it; use a multiple such as 96, or another"),
        ({"image_size": 4, "patch": 8}, "`image_size=4`: `patch=8` does not divide it; use a multiple such as 8,"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(UserError, match=message):
        vit.vit(**{"name": "vit_ti", "image_size": 32} | arguments)
