import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from export.graph import Batching, servable
from export.signatures import inputs
from keras_simsiam.dense.monodepth import frames
from keras_simsiam.models import resnet
from keras_simsiam.models.encoder import MODALITIES, build_encoder
from keras_simsiam.probes import whitening
from keras_simsiam.views.preprocessing import Preprocessing, clean_view

SIZE = 16


def tiny_encoder(modality, channels=None):
    channels = channels or dict.fromkeys(MODALITIES[modality], 3)
    view = {part: keras.Input((SIZE, SIZE, count), name=part) for part, count in channels.items()}
    maps = [keras.layers.Conv2D(4, 3, strides=2)(images) for images in view.values()]
    features = keras.layers.BatchNormalization()(keras.layers.Concatenate()(maps) if len(maps) > 1 else maps[0])
    return keras.Model(view, {"embedding": keras.layers.GlobalAveragePooling2D()(features), "map": features})


def frame(height, width, seed=0):
    """A sample with its files: a noisy floor under a camera that looks down a little."""
    random = np.random.default_rng(seed)
    millimetres = (2500 - 1000 * np.mgrid[:height, :width][0] / height + random.normal(0, 5, (height, width))).astype(
        int
    )
    millimetres[4:20, 12:28] = 0
    rgb = random.integers(0, 256, (height, width, 3), np.uint8)
    sample = {
        "rgb": tf.constant(rgb),
        "depth": tf.constant(millimetres / 1000, tf.float32),
        "intrinsics": tf.constant([50.0, 50.0, width / 2 - 0.5, height / 2 - 0.5]),
        "gravity": tf.constant([0.0, 0.9, 0.43588989]),
    }
    depth = tf.io.encode_png(tf.constant(millimetres[..., None], tf.uint16))
    return sample, {"image": tf.io.encode_png(rgb), "depth": depth, "units_per_metre": tf.constant(1000.0)}


def call(signature, modality, name, *samples):
    names = [row.name for row in inputs(modality, depth=True)[name]]
    return signature(**{key: tf.stack([sample[key] for sample in samples]) for key in names})


def expected(encoder, preprocessing, *samples):
    views = [clean_view(sample, preprocessing) for sample in samples]
    return encoder({part: tf.stack([view[part] for view in views]) for part in views[0]}, training=False)["embedding"]


@pytest.mark.parametrize("modality", ["rgb", pytest.param("hha", marks=pytest.mark.slow), "rgbd"])
def test_both_signatures_give_the_embeddings_of_the_library(modality):
    encoder, preprocessing = tiny_encoder(modality), Preprocessing(modality, SIZE)
    _, signatures = servable(encoder, preprocessing)
    first, second, third = frame(40, 48, 0), frame(40, 48, 1), frame(30, 26, 2)
    found = call(signatures["tensors"], modality, "tensors", first[0], second[0])["embedding"]
    np.testing.assert_allclose(found, expected(encoder, preprocessing, first[0], second[0]), atol=1e-4)
    # files of different sizes in one batch
    found = call(signatures["serving_default"], modality, "serving_default", first[0] | first[1], third[0] | third[1])
    np.testing.assert_allclose(found["embedding"], expected(encoder, preprocessing, first[0], third[0]), atol=1e-4)


def test_the_embedding_comes_whitened_too():
    encoder, preprocessing = tiny_encoder("rgb"), Preprocessing("rgb", SIZE)
    sample = frame(40, 48, 0)[0]
    embedding = expected(encoder, preprocessing, sample).numpy()
    size = embedding.shape[1]
    scaling = whitening.Scaling(embedding[0] + 1, np.float32(2 * np.eye(size)))
    _, signatures = servable(encoder, preprocessing, scaling=scaling)
    found = call(signatures["tensors"], "rgb", "tensors", sample)
    np.testing.assert_allclose(found["embedding"], embedding, atol=1e-4)
    np.testing.assert_allclose(found["whitened"], np.full((1, size), -2), atol=1e-3)


def test_an_rgbd_embedding_comes_whitened_as_evaluation_whitens_it():
    encoder, preprocessing = tiny_encoder("rgbd"), Preprocessing("rgbd", SIZE)
    samples = [frame(40, 48, seed)[0] for seed in range(4)]
    embeddings = np.concatenate([expected(encoder, preprocessing, sample) for sample in samples])
    scaling = whitening.fit(embeddings, parts=2)
    module, signatures = servable(encoder, preprocessing, scaling=scaling, parts=2)
    found = np.concatenate([call(signatures["tensors"], "rgbd", "tensors", sample)["whitened"] for sample in samples])
    np.testing.assert_allclose(found, scaling(embeddings), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found.reshape(4, 2, -1), axis=2), 1, rtol=1e-5)
    assert module.parts.numpy() == 2


def test_a_modality_asks_for_its_own_inputs_only():
    def names(signature, modality, depth=False):
        return [row.name for row in inputs(modality, depth)[signature]]

    assert names("tensors", "rgb") == ["rgb"]
    assert names("serving_default", "hha") == ["depth", "units_per_metre", "intrinsics", "gravity"]
    assert names("tensors", "rgbd") == ["rgb", "depth", "intrinsics", "gravity"]
    assert names("depth", "rgbd", depth=True) == ["image"] and "depth" not in inputs("rgbd")


def test_jpeg_and_unknown_gravity():
    encoder, preprocessing = tiny_encoder("rgbd"), Preprocessing("rgbd", SIZE)
    _, signatures = servable(encoder, preprocessing)
    sample, files = frame(40, 48)
    files["image"] = tf.io.encode_jpeg(sample["rgb"])
    sample |= {"rgb": tf.io.decode_jpeg(files["image"]), "gravity": tf.zeros(3)}
    found = call(signatures["serving_default"], "rgbd", "serving_default", sample | files)["embedding"]
    np.testing.assert_allclose(found, expected(encoder, preprocessing, sample), atol=1e-4)


def test_the_stage_maps_of_files():
    encoder, preprocessing = tiny_encoder("rgbd"), Preprocessing("rgbd", SIZE)
    _, signatures = servable(encoder, preprocessing)
    samples = [frame(40, 48, 0), frame(30, 26, 1)]
    found = call(signatures["features_map"], "rgbd", "features_map", *(sample | files for sample, files in samples))
    assert set(found) == {"map"}
    views = [clean_view(sample, preprocessing) for sample, _ in samples]
    maps = encoder({part: tf.stack([view[part] for view in views]) for part in views[0]}, training=False)["map"]
    np.testing.assert_allclose(found["map"], maps, atol=1e-4)


def test_depth_is_that_of_the_network_that_was_judged(tmp_path):
    """Of images of two sizes, at the network's own size, the bits of what evaluation looks at; clipped as it clips."""
    size = 24
    images = keras.Input((size, size, 3))
    depth = keras.layers.Reshape((size, size))(keras.layers.Conv2D(1, 3, padding="same")(images))
    network = keras.Model(images, keras.layers.Rescaling(2.0, 1.0)(depth))
    module, signatures = servable(tiny_encoder("hha"), Preprocessing("hha", SIZE), depth_network=network)
    tf.saved_model.save(module, str(tmp_path), signatures)
    frames_of_both = [frame(40, 48, 0), frame(30, 26, 1)]
    loaded = tf.saved_model.load(str(tmp_path)).signatures["depth"]
    found = call(loaded, "hha", "depth", *(files for _, files in frames_of_both))["depth"].numpy()
    samples = [sample | {"frame": ""} for sample, _ in frames_of_both]
    crops = [
        frames.centre_crops(frames.prepared(tf.data.Dataset.from_tensors(sample), size), size) for sample in samples
    ]
    raw = network(np.concatenate([crop.rgb for crop in crops])).numpy()
    assert found.shape == (2, size, size) and raw.min() < 0 < raw.max() < 10
    np.testing.assert_allclose(found, np.maximum(raw, 0.001), atol=1e-5)


def test_models_of_one_process_do_not_share_a_batch(tmp_path):
    """Asked at once, with a thread each and a batch that has room: each answers with its own weights."""
    preprocessing = Preprocessing("rgb", SIZE)
    encoders = [tiny_encoder("rgb") for _ in range(2)]
    models = []
    for index, encoder in enumerate(encoders):
        module, signatures = servable(encoder, preprocessing, Batching(max_batch_size=8, threads=1))
        tf.saved_model.save(module, str(tmp_path / str(index)), signatures)
        models.append(tf.saved_model.load(str(tmp_path / str(index))))
    samples = [frame(40, 48, seed)[0] for seed in range(8)]

    def ask(index):
        signature = models[index % 2].signatures["tensors"]
        return call(signature, "rgb", "tensors", samples[index % 8])["embedding"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(64)))
    for index, answer in enumerate(answers):
        right = expected(encoders[index % 2], preprocessing, samples[index % 8])
        np.testing.assert_allclose(answer, right, atol=1e-4)


def test_a_request_larger_than_a_batch_is_split():
    encoder, preprocessing = tiny_encoder("rgb"), Preprocessing("rgb", SIZE)
    _, signatures = servable(encoder, preprocessing, Batching(max_batch_size=2))
    samples = [frame(40, 48, seed)[0] for seed in range(5)]
    found = call(signatures["tensors"], "rgb", "tensors", *samples)["embedding"]
    np.testing.assert_allclose(found, expected(encoder, preprocessing, *samples), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["mask", "neutral", "nearest", "inpaint", "guided"])
def test_both_signatures_deal_with_holes_as_training_does(choice, tmp_path):
    preprocessing = Preprocessing("rgbd", SIZE, holes=choice)
    encoder = tiny_encoder("rgbd", preprocessing.channels)
    module, signatures = servable(encoder, preprocessing)
    tf.saved_model.save(module, str(tmp_path), signatures)
    loaded = tf.saved_model.load(str(tmp_path)).signatures
    sample, files = frame(40, 48)
    right = expected(encoder, preprocessing, sample)
    for name in ("tensors", "serving_default"):
        given = sample if name == "tensors" else sample | files
        np.testing.assert_allclose(call(loaded[name], "rgbd", name, given)["embedding"], right, atol=1e-4)
    if choice != "mask":  # with the same encoder the choice makes a difference
        assert not np.allclose(right, expected(encoder, Preprocessing("rgbd", SIZE), sample), atol=1e-3)


@pytest.mark.parametrize(
    "depth_input", ["disparity", *(pytest.param(d, marks=pytest.mark.slow) for d in ("normals", "jet", "standardized"))]
)
def test_both_signatures_show_depth_as_training_does(depth_input, tmp_path):
    preprocessing = Preprocessing("rgbd", SIZE, holes="mask", depth_input=depth_input)
    encoder = tiny_encoder("rgbd", preprocessing.channels)
    module, signatures = servable(encoder, preprocessing)
    tf.saved_model.save(module, str(tmp_path), signatures)
    loaded = tf.saved_model.load(str(tmp_path)).signatures
    samples = [frame(40, 48, 0), frame(40, 48, 1)]
    right = expected(encoder, preprocessing, *(sample for sample, _ in samples))
    for name in ("tensors", "serving_default"):
        given = [sample if name == "tensors" else sample | files for sample, files in samples]
        np.testing.assert_allclose(call(loaded[name], "rgbd", name, *given)["embedding"], right, atol=1e-4)
    hha = expected(encoder, Preprocessing("rgbd", SIZE, holes="mask"), *(sample for sample, _ in samples))
    assert not np.allclose(right, hha, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["hha", "rgbd"])
def test_a_3d_tower_takes_frames_of_depth_as_others_do(modality, tmp_path, monkeypatch):
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    preprocessing = Preprocessing(modality, SIZE, depth_input="voxels")
    encoder = build_encoder(modality, "resnet18", SIZE, width=4, voxels=True)
    module, signatures = servable(encoder, preprocessing)
    tf.saved_model.save(module, str(tmp_path), signatures)
    loaded = tf.saved_model.load(str(tmp_path)).signatures
    samples = [frame(40, 48, 0), frame(40, 48, 1)]
    right = expected(encoder, preprocessing, *(sample for sample, _ in samples))
    for name in ("tensors", "serving_default"):
        given = [sample if name == "tensors" else sample | files for sample, files in samples]
        np.testing.assert_allclose(call(loaded[name], modality, name, *given)["embedding"], right, atol=1e-4)
    without = [sample | {"intrinsics": tf.zeros([4])} for sample, _ in samples]
    with pytest.raises(tf.errors.InvalidArgumentError, match="focal lengths positive"):
        call(loaded["tensors"], modality, "tensors", *without)


@pytest.mark.slow
@pytest.mark.parametrize("fusion, gate", [("two_tower", True), ("early", False), ("shared", True)])
def test_a_model_of_each_fusion_gives_the_embeddings_of_the_library(tmp_path, monkeypatch, fusion, gate):
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    preprocessing = Preprocessing("rgbd", SIZE, holes="mask")
    encoder = build_encoder("rgbd", "resnet18", SIZE, hha_channels=4, fusion=fusion, depth_gate=gate, width=4)
    module, signatures = servable(encoder, preprocessing)
    tf.saved_model.save(module, str(tmp_path), signatures)
    samples = [frame(40, 48, seed)[0] for seed in range(3)]
    found = call(tf.saved_model.load(str(tmp_path)).signatures["tensors"], "rgbd", "tensors", *samples)["embedding"]
    np.testing.assert_allclose(found, expected(encoder, preprocessing, *samples), atol=1e-4)
