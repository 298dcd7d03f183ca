"""Networks of known functions, as SavedModels and ONNX files."""

import pickle
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from export import encoder as export
from keras_simsiam.commands import depth_networks
from keras_simsiam.commands.depth_networks import Network, Use
from keras_simsiam.core.errors import UserError
from keras_simsiam.models.encoder import NORMALISATION
from keras_simsiam.views.preprocessing import Preprocessing

METRES = Use(input_values="0..1", unit="metres")


def saved(folder, function, shape=(None, 8, 12, 3), dtype=tf.float32):
    """The folder of a SavedModel of a function of one image tensor."""
    module = tf.Module()
    call = tf.function(function, input_signature=[tf.TensorSpec(shape, dtype, "image")])
    tf.saved_model.save(module, str(folder), {"serving_default": call})
    return str(folder)


def red(image):
    """[B,H,W]: 1 m and the red of a colour, in whatever numbers it comes."""
    return {"depth": 1 + image[..., 0]}


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("0..1", lambda red: red / 255),
        ("-1..1", lambda red: red / 127.5 - 1),
        ("0..255", lambda red: red),
        ("imagenet", lambda red: (red / 255 - NORMALISATION["rgb"][0][0]) / NORMALISATION["rgb"][1][0]),
    ],
)
def test_the_network_gets_the_values_that_were_said(values, expected, rgb, tmp_path):
    # Of values that may be negative, 5 m more.
    path = saved(tmp_path / "m", lambda image: {"depth": 5 + image[..., 0]})
    network = depth_networks.open_network(path, Use(input_values=values, unit="metres"))
    np.testing.assert_allclose(network(rgb), 5 + expected(rgb[..., 0].astype(np.float64)), rtol=1e-5)
    assert network.use.input_size == (8, 12) and network.use.layout == "NHWC"


@pytest.mark.parametrize("form", ["[B,H,W]", "[B,H,W,1]", "[B,1,H,W]"])
def test_channels_first_and_each_form_of_a_map(form, rgb, tmp_path):
    def predict(image):
        depth = 1 + image[:, 0]
        return {"depth": depth if form == "[B,H,W]" else depth[..., None] if form == "[B,H,W,1]" else depth[:, None]}

    network = depth_networks.open_network(saved(tmp_path / "m", predict, (None, 3, 8, 12)), METRES)
    np.testing.assert_allclose(network(rgb), 1 + rgb[..., 0] / 255, rtol=1e-6)
    assert network.use.layout == "NCHW"


def test_units(rgb, tmp_path):
    level = rgb[..., 0] / 255
    path = saved(tmp_path / "m", red)
    inverse = depth_networks.open_network(path, Use(input_values="0..1", unit="inverse_metres"))
    np.testing.assert_allclose(inverse(rgb), 1 / (1 + level), rtol=1e-6)
    use = Use(input_values="0..1", unit="disparity", depth_range=(0.5, 10.0))
    relative = depth_networks.open_network(path, use)(rgb)
    # 1/depth is linear in the output, from the farthest at its least to the nearest at its greatest.
    share = (level - level.min()) / (level.max() - level.min())
    np.testing.assert_allclose(1 / relative, 0.1 + share * 1.9, rtol=1e-5)
    assert relative.min() == pytest.approx(0.5) and relative.max() == pytest.approx(10)
    flat = depth_networks.open_network(path, use)(np.full((8, 12, 3), 9, np.uint8))
    np.testing.assert_allclose(flat, 10, rtol=1e-6)


@pytest.mark.parametrize("unit", ["metres", "inverse_metres"])
def test_what_is_no_depth_is_missing(unit, rgb, tmp_path):
    def predict(image):
        depth = 1 + image[..., 0]
        row = tf.range(8)[None, :, None] + tf.zeros_like(depth, tf.int32)
        bad = tf.where(row == 0, -1.0, tf.where(row == 1, tf.constant(np.nan), tf.where(row == 2, 0.0, np.inf)))
        return {"depth": tf.where(row < 4, bad, depth)}

    depth = depth_networks.open_network(saved(tmp_path / "m", predict), Use(input_values="0..1", unit=unit))(rgb)
    assert (depth[:4] == 0).all() and (depth[4:] > 0).all()


def test_a_frame_of_another_size_gets_depth_of_its_size_and_none_across_missing_pixels(tmp_path):
    def predict(image):  # left half at 2 m, right half missing
        return {"depth": tf.concat([2 + 0 * image[:, :, :4, 0], 0 * image[:, :, 4:, 0]], 2)}

    network = depth_networks.open_network(
        saved(tmp_path / "m", predict, (None, None, None, 3)), Use((8, 8), "0..1", None, "metres")
    )
    depth = network(np.zeros((24, 32, 3), np.uint8))
    assert depth.shape == (24, 32)
    np.testing.assert_allclose(depth[:, :16], 2, rtol=1e-6)
    assert (depth[:, 16:] == 0).all()


def test_an_onnx_file(rgb, tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    mean = helper.make_node("ReduceMean", ["image"], ["depth"], axes=[1], keepdims=0)
    shapes = {"image": ["n", 3, "h", "w"], "depth": ["n", "h", "w"]}
    image, depth = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name]) for name in shapes)
    graph = helper.make_graph([mean], "mean", [image], [depth])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "mean.onnx"))
    with pytest.raises(UserError, match=r"`model=.*mean.onnx` takes images of any size: give `input_size`"):
        depth_networks.open_network(str(tmp_path / "mean.onnx"), METRES)
    network = depth_networks.open_network(str(tmp_path / "mean.onnx"), Use((8, 12), "0..255", None, "metres"))
    np.testing.assert_allclose(network(rgb), rgb.mean(-1), rtol=1e-5)
    assert network.use.layout == "NCHW" and network.description()["by"] == "mean.onnx"


def test_onnxruntime_is_named_where_it_is_missing(tmp_path, monkeypatch):
    (tmp_path / "a.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime cannot be imported .*pip install onnxruntime"):
        depth_networks.open_network(str(tmp_path / "a.onnx"), METRES)


@pytest.fixture
def exported(tmp_path):
    """The model folder of an encoder with a depth network: 1 m and the mean colour in metres, 16 × 16."""
    images = keras.Input((16, 16, 3), name="rgb")
    mean = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1 / 3), bias_initializer="ones")
    network = keras.Model(images, keras.layers.Reshape((16, 16))(mean(images)), name="depth_network")
    view = keras.Input((16, 16, 3), name="rgb")
    features = keras.layers.Conv2D(2, 3)(view)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    encoder = keras.Model({"rgb": view}, {"embedding": pooled, "map": features})
    export.export(encoder, Preprocessing("rgb", 16), tmp_path / "depth_encoder", depth_network=network)
    return str(tmp_path / "depth_encoder")


def test_an_exported_depth_network_predicts_whole_frames(exported):
    network = depth_networks.open_network(exported, Use())
    assert network.use is None and network.description()["by"] == "depth_encoder/1"
    for height, width in ((16, 16), (16, 39), (40, 16)):
        rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        np.testing.assert_allclose(network(rgb), 1 + rgb.mean(-1) / 255, atol=1e-3)
    smooth = np.broadcast_to(np.linspace(0, 255, 60)[None, :, None], (45, 60, 3)).astype(np.uint8)
    depth = network(smooth)
    assert depth.shape == (45, 60)
    np.testing.assert_allclose(depth, 1 + smooth.mean(-1) / 255, atol=0.05)


def test_an_exported_depth_network_knows_its_use(exported):
    with pytest.raises(UserError, match=r"of export.encoder, whose graph knows its use: leave `unit` out"):
        depth_networks.open_network(exported, Use(unit="metres"))


def test_a_network_crosses_to_another_process_and_its_hash_is_of_its_files(rgb, tmp_path):
    network = depth_networks.open_network(saved(tmp_path / "m", red), METRES)
    again = pickle.loads(pickle.dumps(network))
    assert again == network and isinstance(again, Network)
    np.testing.assert_array_equal(again(rgb), network(rgb))
    other = depth_networks.open_network(saved(tmp_path / "n", lambda image: {"depth": 2 + image[..., 0]}), METRES)
    assert network.description()["sha256"] != other.description()["sha256"]
    expected = {"by": "m", "input_size": (8, 12), "input_values": "0..1", "layout": "NHWC", "unit": "metres"}
    assert expected.items() <= network.description().items()


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (Use(unit="metres"), "does not say its `input_values`: give one of 0..1, -1..1, 0..255, imagenet"),
        (Use(input_values="0..1"), "does not say its `unit`: give one of metres, inverse_metres, disparity"),
        (Use((9, 12), "0..1", None, "metres"), "`input_size=9,12`: .* takes 8,12: leave it out"),
        (Use(None, "0..1", "NCHW", "metres"), r"`layout=NCHW`: the input of .* is \?,8,12,3, NHWC"),
        (Use(None, "0..1", None, "disparity"), "`unit=disparity` needs `depth_range`"),
        (Use(None, "0..1", None, "metres", (1.0, 2.0)), "`unit=metres` has no use for `depth_range`"),
    ],
)
def test_what_is_not_known_is_refused(use, message, tmp_path):
    with pytest.raises(UserError, match=message):
        depth_networks.open_network(saved(tmp_path / "m", red), use)


def test_channels_that_the_shape_does_not_tell(rgb, tmp_path):
    path = saved(tmp_path / "m", red, (None, None, None, None))
    with pytest.raises(UserError, match=r"tells no channels: give `layout`"):
        depth_networks.open_network(path, Use((8, 12), "0..1", None, "metres"))
    network = depth_networks.open_network(path, Use((8, 12), "0..1", "NHWC", "metres"))
    np.testing.assert_allclose(network(rgb), 1 + rgb[..., 0] / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda image: {"a": image[..., 0], "b": image[..., 1]},
            "gives a, b: give one from one image to one depth map",
        ),
        (lambda image: {"depth": image}, "gives values of the shape 1,8,12,3: that is not one depth map"),
        (lambda image: {"embedding": tf.reduce_mean(image, [1, 2])}, "the shape 1,3: that is not one depth map"),
        (lambda image: {"tokens": tf.reshape(image, [-1, 72, 4])}, "gives 72x4 values for an image of 8x12"),
    ],
)
def test_what_is_no_depth_map_is_refused(function, message, tmp_path):
    with pytest.raises(UserError, match=message):
        depth_networks.open_network(saved(tmp_path / "m", function), METRES)


def test_a_size_that_the_network_does_not_run_on_is_refused(tmp_path):
    path = saved(tmp_path / "m", lambda image: {"d": tf.reshape(image, [-1, 7, 11])}, (None, None, None, 3))
    with pytest.raises(UserError, match=r"does not run on an image of 8x12 .*check `input_size` and `layout`"):
        depth_networks.open_network(path, Use((8, 12), "0..1", None, "metres"))


def test_what_is_no_network_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"neither an .onnx file nor the folder of a SavedModel"):
        depth_networks.open_network(str(tmp_path), METRES)
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"cannot be read"):
        depth_networks.open_network(str(tmp_path), METRES)
    path = saved(tmp_path / "m", lambda image: {"d": image}, dtype=tf.uint8)
    with pytest.raises(UserError, match=r"takes uint8, not float32"):
        depth_networks.open_network(path, METRES)
