import dataclasses
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from export.encoder import export
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.encoders import source
from keras_simsiam.evaluation.encoders.compared import STARTING, TRAINED, UNTRAINED, compare
from keras_simsiam.evaluation.encoders.source import Network
from keras_simsiam.evaluation.evaluate import evaluate
from keras_simsiam.training import run
from tests.evaluation.small import make_run, write_dataset
from tests.models import imagenet_file
from tfrecords import Dataset


@pytest.fixture(scope="module", params=["rgb", pytest.param("rgbd", marks=pytest.mark.slow)])
def made(request, tmp_path_factory):
    """A run directory and the data set that it is of."""
    folder = tmp_path_factory.mktemp(request.param)
    data_dir = write_dataset(folder / "data", depth=True)
    return make_run(folder / "run", data_dir, request.param), Dataset(data_dir).samples("test")


def compare_by_name(*given):
    return compare(source.resolve(*given))


def embed(compared, samples, name):
    """The embeddings of all samples, and what is known of them."""
    parts = [(embeddings, facts) for (embeddings,), facts in compared.embed([name], samples, 5)]
    return np.concatenate([part for part, _ in parts]), [frame for _, facts in parts for frame in facts["frame"]]


def test_a_run_and_a_file_in_it(made):
    workdir, samples = made
    compared = compare_by_name(workdir)
    again = compare_by_name(f"{workdir}/encoder.keras")
    assert (
        compared.names == (TRAINED, UNTRAINED)
        and again.keys == compared.keys
        and compared.source.sha256 == compared.keys[TRAINED]
    )
    assert compared.source.config.seed == 0 and compared.preprocessing.image_size == 16
    trained, frames = embed(compared, samples, TRAINED)
    assert frames == [f"f{index}" for index in range(3, 48, 4)]
    assert not np.allclose(trained, embed(compared, samples, UNTRAINED)[0])


@pytest.mark.slow  # saving a graph of HHA takes a minute
def test_an_exported_encoder_gives_what_its_run_gives(made, tmp_path):
    workdir, samples = made
    compared = compare_by_name(workdir)
    export(run.load_encoder(workdir), compared.preprocessing, tmp_path / "serving", parts=compared.parts)
    for folder in (tmp_path / "serving", tmp_path / "serving" / "1"):
        served = compare_by_name(str(folder))
        assert served.names == (TRAINED,) and served.preprocessing.modality == compared.preprocessing.modality
        assert served.parts == compared.parts == {"rgb": 1, "rgbd": 2}[served.preprocessing.modality]
        found, frames = embed(served, samples, TRAINED)
        expected, expected_frames = embed(compared, samples, TRAINED)
        assert frames == expected_frames
        np.testing.assert_allclose(found, expected, atol=1e-4)
    with pytest.raises(UserError, match="is a SavedModel, which gives embeddings alone"):
        _ = served.encoders


def test_another_saved_model_is_refused(tmp_path):
    module = tf.Module()
    module.call = tf.function(lambda x: x, input_signature=[tf.TensorSpec([])])
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(UserError, match="no signature tensors"):
        compare_by_name(str(tmp_path))


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("saved_model.pb", _cut),
        ("saved_model.pb", lambda path: path.write_bytes(b"")),
        ("variables/*.index", _cut),
        ("variables/*.data-*", _cut),
        ("variables/*.data-*", lambda path: path.unlink()),
    ],
)
def test_a_damaged_saved_model_is_one_line(tmp_path, pattern, damage):
    module = tf.Module()
    module.variable = tf.Variable(tf.ones([1000]))
    module.call = tf.function(lambda x: module.variable * x, input_signature=[tf.TensorSpec([1000])])
    tf.saved_model.save(module, str(tmp_path / "serving" / "1"))
    damage(next((tmp_path / "serving" / "1").glob(pattern)))
    with pytest.raises(UserError, match=r"serving/1 is damaged or incomplete \(.+\): copy it or export it again$"):
        compare_by_name(str(tmp_path / "serving"))


def test_a_file_without_its_run(made, tmp_path):
    workdir, samples = made
    shutil.copy(f"{workdir}/encoder.keras", tmp_path / "mine.keras")
    compared = compare_by_name(workdir)
    if compared.preprocessing.modality != "rgb":
        with pytest.raises(UserError, match=r"mine\.keras: takes HHA, and no flags\.txt"):
            compare_by_name(str(tmp_path / "mine.keras"))
        return
    alone = compare_by_name(str(tmp_path / "mine.keras"))
    np.testing.assert_array_equal(embed(alone, samples, TRAINED)[0], embed(compared, samples, TRAINED)[0])
    untrained = embed(alone, samples, UNTRAINED)[0]
    assert not np.allclose(untrained, embed(compared, samples, TRAINED)[0])
    np.testing.assert_array_equal(embed(compare_by_name(alone.source.name), samples, UNTRAINED)[0], untrained)


def test_what_is_no_encoder(tmp_path):
    with pytest.raises(UserError, match="not there"):
        compare_by_name(str(tmp_path / "no.keras"))
    with pytest.raises(UserError, match="not a run directory"):
        compare_by_name(str(tmp_path))
    keras.Sequential([keras.layers.Dense(2, input_shape=(3,))]).save(tmp_path / "dense.keras")
    (tmp_path / "broken.keras").write_text("x")
    for name, line in [("dense", "no encoder"), ("broken", "damaged")]:
        with pytest.raises(UserError, match=line):
            compare_by_name(str(tmp_path / f"{name}.keras"))


@pytest.mark.slow
def test_a_run_that_started_from_another(tmp_path):
    data_dir = write_dataset(tmp_path / "data", depth=True)
    start = make_run(tmp_path / "start", data_dir, seed=2)
    sha256 = files.sha256(f"{start}/encoder.keras")
    plain = compare_by_name(make_run(tmp_path / "plain", data_dir, "hha"))
    compared = compare_by_name(make_run(tmp_path / "depth", data_dir, "hha", init=start, init_sha256=sha256))
    assert compared.names == (TRAINED, STARTING, UNTRAINED) and not compared.note
    assert compared.keys[UNTRAINED] == plain.keys[UNTRAINED] != compared.keys[STARTING]
    tower, given = compared.encoders[STARTING].get_layer("hha_tower"), run.load_encoder(start).get_layer("rgb_tower")
    for one, other in zip(tower.get_weights(), given.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    workdir, told = str(tmp_path / "depth"), []
    shutil.copy(tmp_path / "plain" / "encoder.keras", f"{start}/encoder.keras")
    changed = compare_by_name(workdir)
    assert changed.names == (TRAINED, UNTRAINED) and "has changed: `init_sha256=" in changed.note
    shutil.rmtree(start)
    results = evaluate(workdir, Dataset(data_dir), task="knn", knn_k=3, progress=told.append)
    assert list(results["knn"]["accuracy"])[:2] == [TRAINED, UNTRAINED]
    (line,) = [line for line in told if "starting weights" in line]
    assert line.startswith(f"no row of the starting weights: `init={start}`: not there")
    assert (results["encoder"]["init"], results["encoder"]["init_sha256"]) == (start, sha256)


def test_random():
    networks = (Network(seed, modality="hha", image_size=32) for seed in (0, 1))
    compared, other = (compare_by_name("random", network) for network in networks)
    assert compared.names == (UNTRAINED,) and compared.preprocessing.modality == "hha" and compared.keys != other.keys
    first, second = (one.encoders[UNTRAINED].get_weights()[0] for one in (compared, other))
    assert compared.encoders[UNTRAINED].input["hha"].shape == (None, 32, 32, 3)
    assert not np.allclose(first, second)


@pytest.mark.slow
def test_imagenet(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"`encoder=imagenet`: .*notop\.h5 is not there"):
        compare_by_name("imagenet", Network(image_size=32))
    network = imagenet_file.write(tmp_path)
    network = keras.Model(network.input, keras.layers.GlobalAveragePooling2D()(network.output))
    compared = compare_by_name("imagenet", Network(image_size=32))
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)[0], (5, 5), 0)[
        None
    ]
    found = compared.encoders[TRAINED]({"rgb": image.astype(np.float32) / 255})
    expected = network(keras.applications.resnet.preprocess_input(image.astype(np.float32)))
    np.testing.assert_allclose(found["embedding"], expected, rtol=1e-3, atol=1e-4)
    assert found["c2"].shape == (1, 8, 8, 256) and found["map"].shape == found["c5"].shape == (1, 1, 1, 2048)
    assert not np.allclose(compared.encoders[UNTRAINED]({"rgb": image.astype(np.float32) / 255})["embedding"], expected)


def test_a_source_says_what_is_known(tmp_path):
    data_dir = write_dataset(tmp_path / "data")
    workdir = make_run(tmp_path / "run", data_dir)
    whole, best = source.resolve(workdir), source.resolve(f"{workdir}/encoder.keras")
    assert (whole.kind, whole.name, whole.workdir, whole.file) == (
        source.RUN,
        workdir,
        workdir,
        f"{workdir}/encoder.keras",
    )
    assert whole.config.data_dir == data_dir and len(whole.sha256) == 64
    assert dataclasses.replace(best, name=workdir) == whole == source.resolve_run(workdir)
    drawn = source.resolve("random", Network(3, modality="hha"))
    assert (drawn.kind, drawn.file, drawn.workdir, drawn.sha256) == (source.RANDOM, None, None, None)
    assert drawn.config.seed == 3 and drawn.config.modality == "hha"
    shutil.copy(whole.file, tmp_path / "mine.keras")
    alone = source.resolve(str(tmp_path / "mine.keras"))
    assert (alone.kind, alone.workdir, alone.config) == (source.FILE, None, None) and alone.sha256 == whole.sha256


def test_a_command_of_runs_takes_nothing_else(tmp_path):
    (tmp_path / "mine.keras").write_bytes(b"weights")
    for name in ("random", str(tmp_path / "mine.keras")):
        with pytest.raises(UserError, match="not a run directory"):
            source.resolve_run(name)
