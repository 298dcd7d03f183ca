"""The ONNX file, run by ONNX Runtime. Skipped where the extra onnx is not installed."""

import numpy as np
import pytest
from tensorflow import keras

from export import to_onnx as command
from keras_simsiam.core.errors import UserError
from keras_simsiam.models import resnet, vit
from keras_simsiam.models.encoder import build_encoder
from keras_simsiam.views.preprocessing import Preprocessing

SIZE = 32


@pytest.fixture
def tiny_encoder():
    rgb = keras.Input((SIZE, SIZE, 3), name="rgb")
    features = keras.layers.Conv2D(4, 3)(rgb)
    return keras.Model({"rgb": rgb}, {"embedding": keras.layers.GlobalAveragePooling2D()(features), "map": features})


@pytest.mark.parametrize(
    "modality, fusion, gate, channels",
    [
        ("rgb", "two_tower", False, 3),
        ("rgbd", "two_tower", True, 4),
        ("rgbd", "early", False, 3),
        ("rgbd", "shared", True, 4),
    ],
)
def test_onnx_runtime_gives_the_encoders_embeddings(modality, fusion, gate, channels, tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("tf2onnx")
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))
    encoder = build_encoder(modality, "resnet18", SIZE, hha_channels=channels, fusion=fusion, depth_gate=gate, width=4)
    towers = [layer for layer in encoder.layers if isinstance(layer, keras.Model)]
    networks = [layer for tower in towers for layer in tower.layers if isinstance(layer, keras.Model)]
    for layer in (layer for network in [*towers, *networks] for layer in network.layers):
        if isinstance(layer, keras.layers.BatchNormalization):  # none of them an identity
            layer.set_weights(
                [np.random.default_rng(1).uniform(0.5, 2, weight.shape) for weight in layer.get_weights()]
            )
    preprocessing = Preprocessing(modality, SIZE, holes="mask" if channels == 4 else "none")
    difference = command.export(encoder, preprocessing, tmp_path / "new" / "encoder.onnx")
    assert difference < 1e-4
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["encoder.onnx"]

    file = str(tmp_path / "new" / "encoder.onnx")
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    sides = {"rgb": 3} if modality == "rgb" else {"rgb": 3, "hha": channels}
    view = {name: np.random.default_rng(2).random((5, SIZE, SIZE, count), np.float32) for name, count in sides.items()}
    expected = encoder(view, training=False)["embedding"].numpy()
    np.testing.assert_allclose(session.run(["embedding"], view)[0], expected, rtol=1e-4, atol=1e-4)
    facts = {prop.key: prop.value for prop in onnx.load(file).metadata_props}
    assert facts["modality"] == modality and facts["holes"] == preprocessing.holes and facts["depth_input"] == "hha"


@pytest.mark.parametrize(
    "positions, fusion", [("sincos", "two_tower"), pytest.param("learned", "shared", marks=pytest.mark.slow)]
)
def test_a_vit_too(positions, fusion, tmp_path, monkeypatch):
    for library in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(library)
    monkeypatch.setattr(vit, "DEPTH", 4)
    modality = "rgb" if fusion == "two_tower" else "rgbd"
    encoder = build_encoder(modality, "vit_ti", SIZE, fusion=fusion, patch=8, positions=positions, drop_path=0.1)
    assert command.export(encoder, Preprocessing(modality, SIZE), tmp_path / "encoder.onnx") < 1e-4


def test_an_encoder_that_onnx_runtime_disagrees_with_is_not_written(tiny_encoder, tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(name)
    monkeypatch.setattr(command, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="nothing was written"):
        command.export(tiny_encoder, Preprocessing("rgb", SIZE), tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())


def test_refuses_before_anything_is_converted(tiny_encoder, tmp_path, monkeypatch):
    (tmp_path / "there.onnx").write_text("mine")
    for name, message in (("there.onnx", "is there already"), ("encoder.pb", "ends in .onnx")):
        with pytest.raises(UserError, match=message):
            command.export(tiny_encoder, Preprocessing("rgb", SIZE), tmp_path / name)
    assert (tmp_path / "there.onnx").read_text() == "mine"

    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(command.importlib, "import_module", absent)
    with pytest.raises(UserError, match=r"onnx cannot be imported .*: pip install '\.\[onnx\]'"):
        command.export(tiny_encoder, Preprocessing("rgb", SIZE), tmp_path / "encoder.onnx")
