"""The weights of one encoder in another: where they go, and what becomes of the features."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models import resnet, starting_weights, vit
from keras_simsiam.models.encoder import NORMALISATION, build_encoder

RANDOM = np.random.default_rng(0)
NOISE = {name: RANDOM.normal(size=(2, 16, 16, 3)) for name in ("rgb", "hha")}  # normalised images


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    keras.utils.set_random_seed(0)


def encoder(modality, hha_channels=3, fusion="two_tower", **changes):
    options = {"width": 2, "stem": "cifar"} | changes
    return build_encoder(modality, "resnet18", 16, hha_channels=hha_channels, fusion=fusion, **options)


def trained(*given, **options):
    """An encoder all of whose weights differ from layer to layer, BatchNorm's too."""
    model = encoder(*given, **options)
    random = np.random.default_rng(1)
    weights = [random.uniform(0.5, 1.5, weight.shape) * np.where(weight, weight, 0.1) for weight in model.get_weights()]
    model.set_weights(weights)
    return model


def view(model, noise=NOISE, mask=0.0):
    """Images of which the model's own normalisation makes the noise."""
    images = {}
    for name, image in model.input.items():
        mean, std = (np.array(constants[:3]) for constants in NORMALISATION[name])
        images[name] = noise[name] * std + mean
        if image.shape[-1] == 4:
            images[name] = np.concatenate([images[name], np.full((2, 16, 16, 1), mask)], axis=-1)
    return {name: image.astype(np.float32) for name, image in images.items()}


def embed(model, *given):
    return model(view(model, *given), training=False)["embedding"].numpy()


def begun(model, source, **options):
    lines = starting_weights.begin(model, source, given="`init=a`", **options)
    return model, lines


COLOUR = {"rgb": NOISE["rgb"], "hha": NOISE["rgb"]}  # HHA images that look, normalised, like the colour images


def test_a_tower_of_its_like_and_one_of_the_other_modality():
    source = trained("rgb")
    same, lines = begun(encoder("rgb"), source)
    assert lines == [f"rgb_tower: all {2 * 4 * 2 + 2 + 3 * 2} layers of its rgb_tower"]
    np.testing.assert_array_equal(embed(same), embed(source))
    depth, lines = begun(encoder("hha"), source)
    assert lines[0].startswith("hha_tower: all") and lines[0].endswith("of its rgb_tower")
    np.testing.assert_allclose(embed(depth, COLOUR), embed(source), rtol=1e-4, atol=1e-5)
    back, _ = begun(encoder("rgb"), depth)
    np.testing.assert_array_equal(embed(back), embed(source))


def test_the_mask_counts_nothing_at_first():
    source = trained("rgb")
    masked, lines = begun(encoder("hha", 4), source)
    assert lines[0].endswith("of its rgb_tower, the mask's kernel zero")
    for mask in (0.0, 1.0):
        np.testing.assert_allclose(embed(masked, COLOUR, mask), embed(source), rtol=1e-4, atol=1e-5)
    again, _ = begun(encoder("hha", 4), masked)  # four into four
    np.testing.assert_array_equal(embed(again), embed(masked))


def test_two_towers_and_back():
    source = trained("rgb")
    both, _ = begun(encoder("rgbd"), source)
    np.testing.assert_allclose(embed(both, COLOUR), np.tile(embed(source), 2), rtol=1e-4, atol=1e-5)
    drawn = encoder("rgbd")
    before = embed(drawn)
    for tower, half, other in (("rgb", slice(16), slice(16, 32)), ("hha", slice(16, 32), slice(16))):
        fresh = encoder("rgbd")
        fresh.set_weights(drawn.get_weights())
        one, lines = begun(fresh, source, towers=tower)
        assert [line.split(":")[1] == " fresh" for line in lines] == [tower != "rgb", tower != "hha"]
        np.testing.assert_array_equal(embed(one)[:, other], before[:, other])
        np.testing.assert_allclose(embed(one, COLOUR)[:, half], embed(source), rtol=1e-4, atol=1e-5)

    two = trained("rgbd")
    for modality, half in (("rgb", slice(16)), ("hha", slice(16, 32))):
        one, lines = begun(encoder(modality), two)
        assert lines[1:] == [f"not taken: its {'hha' if modality == 'rgb' else 'rgb'}_tower"]
        np.testing.assert_allclose(embed(one), embed(two)[:, half], rtol=1e-4, atol=1e-5)


def test_shared():
    source = trained("rgb")
    shared, _ = begun(encoder("rgbd", fusion="shared"), source)
    np.testing.assert_allclose(embed(shared, COLOUR), np.tile(embed(source), 2), rtol=1e-4, atol=1e-5)
    masked, _ = begun(encoder("rgbd", 4, fusion="shared"), source)
    np.testing.assert_allclose(embed(masked, COLOUR), np.tile(embed(source), 2), rtol=1e-4, atol=1e-5)
    towers, _ = begun(encoder("rgbd"), shared)
    np.testing.assert_allclose(embed(towers), embed(shared), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [3, 4])
def test_early_keeps_the_scale_of_activations(channels):
    source = trained("rgb")
    early, lines = begun(encoder("rgbd", channels, fusion="early"), source)
    assert "the first kernel for colour and for HHA, over √2" in lines[0]
    kernels = [starting_weights._first(starting_weights._network(model)).kernel for model in (early, source.layers[-1])]
    kernel, given = map(np.array, kernels)
    np.testing.assert_allclose(kernel[:, :, :3], kernel[:, :, 3:6])
    np.testing.assert_array_equal(kernel[:, :, 6:], 0)
    noise = np.float32(RANDOM.normal(size=(4, 64, 64, 6)))
    both, one = (
        tf.nn.conv2d(noise[..., :count], weights[:, :, :count], 1, "SAME")
        for weights, count in ((kernel, 6), (given, 3))
    )
    np.testing.assert_allclose(np.std(both, axis=(0, 1, 2)) / np.std(one, axis=(0, 1, 2)), 1, atol=0.05)
    again, _ = begun(encoder("rgbd", channels, fusion="early"), early)
    np.testing.assert_array_equal(embed(again), embed(early))


def test_a_network_of_other_constants_gives_the_same_on_the_same_images():
    """An imported one: std alone changes nothing but rounding, mean nothing but what padding does at the border."""
    source = trained("rgb")
    tower = source.get_layer("rgb_tower")
    rescaling = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))
    mean, std = map(np.array, NORMALISATION["rgb"])
    images = view(source)["rgb"]

    def first_maps(model):
        tower = model.get_layer("rgb_tower")
        network = starting_weights._network(tower)
        norm = next(layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization))
        normalised = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Rescaling))(images)
        return keras.Model(network.input, norm.output)(normalised, training=False).numpy()

    rescaling.scale, rescaling.offset = [1.0] * 3, list(-mean)
    same, _ = begun(encoder("rgb"), source)
    np.testing.assert_allclose(embed(same), embed(source), rtol=1e-3)
    rescaling.offset = [0.0] * 3
    same, _ = begun(encoder("rgb"), source)
    inside = np.s_[:, 1:-1, 1:-1]
    np.testing.assert_allclose(first_maps(same)[inside], first_maps(source)[inside], atol=1e-4)
    assert np.abs(first_maps(same) - first_maps(source)).max() > 0.01
    assert np.abs(std - 1).min() > 0.5


@pytest.mark.parametrize(
    ("source", "target", "line"),
    [
        (("rgb", 3), ("rgb", 3, "two_tower", {"width": 4}), "`init=a` has width 2, this run `width=4`"),
        (("rgb", 3), ("rgb", 3, "two_tower", {"stem": "imagenet"}), "has stem cifar, this run `stem=imagenet`"),
        (("hha", 4), ("hha", 3), "first kernel of its hha_tower takes 4 channels, this run's hha_tower 3"),
        (("hha", 4), ("rgb", 3), "first kernel of its hha_tower takes 4 channels, this run's rgb_tower 3"),
        (("hha", 4), ("rgbd", 3, "early"), "first kernel of its hha_tower takes 4 channels, this run's early 6"),
        (("rgbd", 3, "early"), ("hha", 4), "first kernel of its early takes 6 channels, this run's hha_tower 4"),
    ],
)
def test_another_network_is_refused_with_both_numbers(source, target, line):
    *target, changes = target if isinstance(target[-1], dict) else (*target, {})
    with pytest.raises(UserError) as refused:
        begun(encoder(*target, **changes), encoder(*source))
    assert line in refused.value.args[0] and "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["sincos", "learned"])
def test_vits(positions, monkeypatch):
    """Of another image size, and with stochastic depth, which has a generator and no weights to take."""
    monkeypatch.setattr(vit, "DEPTH", 4)
    monkeypatch.setitem(vit.BACKBONES, "vit_ti", (8, 2))
    source = build_encoder("rgb", "vit_ti", 32, patch=8, positions=positions)
    options = {"patch": 8, "positions": positions, "drop_path": 0.2}
    same, lines = begun(build_encoder("rgb", "vit_ti", 32, **options), source)
    images = {"rgb": np.float32(RANDOM.uniform(size=(2, 32, 32, 3)))}
    np.testing.assert_allclose(same(images)["embedding"], source(images)["embedding"], atol=1e-6)
    assert lines == ["rgb_tower: all 27 layers of its rgb_tower"]
    for fusion, start in (("two_tower", 8), ("shared", 8), ("early", None)):
        smaller, _ = begun(build_encoder("rgbd", "vit_ti", 16, hha_channels=4, fusion=fusion, **options), source)
        embedding = smaller(view(smaller, COLOUR))["embedding"]
        assert np.isfinite(embedding).all()
        if start:
            np.testing.assert_allclose(embedding[:, :start], embedding[:, start:], atol=1e-4)
        table = starting_weights._networks(smaller).popitem()[1].get_layer("tokens").table
        theirs = source.get_layer("rgb_tower").get_layer("vit_ti").get_layer("tokens").table
        expected = vit.sincos(2, 8) if positions == "sincos" else vit.resized(tf.convert_to_tensor(theirs), 2)
        np.testing.assert_allclose(np.array(table), expected, atol=1e-6)
    other = "learned" if positions == "sincos" else "sincos"
    for change, line in (
        ({"patch": 4}, "has patch 8, this run `patch=4`"),
        ({"positions": other}, f"positions={other}`"),
    ):
        with pytest.raises(UserError, match=line):
            begun(build_encoder("rgb", "vit_ti", 32, **options | change), source)


def test_another_backbone_is_refused():
    with pytest.raises(UserError, match="has backbone resnet18, this run `backbone=resnet50`"):
        begun(build_encoder("rgb", "resnet50", 16, width=2, stem="cifar"), encoder("rgb"))


def test_what_is_no_encoder_is_refused():
    with pytest.raises(UserError, match="`init=a`: holds no encoder of this package"):
        begun(encoder("rgb"), keras.Sequential([keras.layers.Dense(2, input_shape=(3,))]))
