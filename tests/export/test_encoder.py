import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from export import encoder as command
from export.signatures import inputs
from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import frames as depth_frames
from keras_simsiam.dense.monodepth import network
from keras_simsiam.probes.features import extract
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig, open_workdir
from keras_simsiam.views.batches import clean_batches
from keras_simsiam.views.preprocessing import Preprocessing, clean_view
from tfrecords import Dataset
from tfrecords.example import Frame
from tfrecords.writer import Writer

PREPROCESSING = Preprocessing("rgb", 16)


@pytest.fixture(scope="module")
def tiny_encoder():
    rgb = keras.Input((16, 16, 3), name="rgb")
    features = keras.layers.Conv2D(4, 3)(rgb)
    return keras.Model({"rgb": rgb}, {"embedding": keras.layers.GlobalAveragePooling2D()(features), "map": features})


def test_versions_count_up_and_load(tiny_encoder, tmp_path):
    output = tmp_path / "serving" / "rgb"
    assert command.export(tiny_encoder, PREPROCESSING, output) == output / "1"
    (output / "7").mkdir()
    version = command.export(tiny_encoder, PREPROCESSING, output)
    assert version.name == "8"
    assert sorted(path.name for path in output.iterdir()) == ["1", "7", "8"]  # nothing half-written is left

    model = tf.saved_model.load(str(version))
    assert set(model.signatures) == {"tensors", "serving_default", "features_map"}
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)
    views = tf.stack([clean_view({"rgb": image}, PREPROCESSING)["rgb"] for image in images])
    found = model.signatures["tensors"](rgb=tf.constant(images))["embedding"]
    np.testing.assert_allclose(found, tiny_encoder({"rgb": views})["embedding"], atol=1e-4)


def test_a_failed_export_leaves_nothing(tiny_encoder, tmp_path, monkeypatch):
    def fail(module, path, signatures):
        Path(path, "saved_model.pb").write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        command.export(tiny_encoder, PREPROCESSING, tmp_path / "rgb")
    assert not list((tmp_path / "rgb").iterdir())


def test_refuses_what_is_no_model_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for output in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UserError, match="no model folder"):
            command.next_version(output)
    (tmp_path / "empty").mkdir()
    assert command.next_version(tmp_path / "empty") == command.next_version(tmp_path / "new") == 1


def test_the_summary_names_what_to_send(tmp_path):
    summary = command.summary(tmp_path / "1", inputs("hha"))
    assert "depth           string" in summary and "depth           float32" in summary
    assert "image" not in summary.split("to call it")[1]
    assert len(command.snippet(tmp_path / "1", inputs("rgbd")["serving_default"]).splitlines()) == 5
    assert "  depth → depth float32" in command.summary(tmp_path / "1", inputs("hha", depth=True))


def encoded_frames(count):
    """Encoded frames of different sizes, every other one with unknown gravity."""
    random = np.random.default_rng(0)
    for index in range(count):
        height, width = 40 + index, 56 - index
        depth = np.linspace(2500, 1500, height)[:, None, None] + random.normal(0, 5, (height, width, 1))
        rgb = tf.io.encode_png(random.integers(0, 256, (height, width, 3), np.uint8)).numpy()
        depth = tf.io.encode_png(depth.astype(np.uint16)).numpy()
        gravity = (0.0, 0.0, 0.0) if index % 2 else (0.0, 0.8, 0.6)
        yield Frame(f"f{index}", rgb, depth, (60.0, 60.0, width / 2 - 0.5, height / 2 - 0.5), gravity)


def call_command(workdir, output, *more):
    """As a user calls it, without the log level that the tests set."""
    arguments = [sys.executable, "-m", "export.encoder", f"--workdir={workdir}", f"--output={output}", *more]
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(arguments, capture_output=True, text=True, cwd=Path(command.__file__).parents[1], env=env)


ALONE = """
import glob, sys
import numpy, tensorflow as tf
assert not any(name.startswith(("keras_simsiam", "export", "tfrecords")) for name in sys.modules)
model = tf.saved_model.load(sys.argv[1])
inputs = {name: tf.constant(value) for name, value in numpy.load("inputs.npz", allow_pickle=True).items()}
inputs |= {name: tf.constant([open(file, "rb").read() for file in sorted(glob.glob(f"*.{name}"))])
           for name in ("image", "depth")}
numpy.save("found.npy", model.signatures["serving_default"](**inputs)["embedding"])
"""


@pytest.mark.slow
def test_the_command_and_its_model_alone_in_a_fresh_process(tmp_path):
    """From a run directory and shards to the same embeddings without this package."""
    frames = list(encoded_frames(3))
    with Writer(str(tmp_path / "data")) as writer:
        for frame in frames:
            writer.add("test", frame)
        writer.commit({"classes": [], "instances": []})
    config = RunConfig(str(tmp_path / "data"), str(tmp_path / "run"), image_size=32, width=8)
    open_workdir(config)
    run.untrained_encoder(config).save(tmp_path / "run" / "encoder.keras")
    samples = Dataset(config.data_dir).samples("test")
    expected = extract(run.load_encoder(config.workdir), clean_batches(samples, config.preprocessing, batch_size=2))

    output = tmp_path / "serving"
    colour, _ = network.colour_encoder(run.load_encoder(config.workdir))
    depth_network = network.build(colour, "blocks", 32, depth_frames.Scale(2.0, 0.5, 3)).model
    depth_network.save(tmp_path / "depth.keras")
    done = call_command(config.workdir, output, f"--depth_network={tmp_path / 'depth.keras'}")
    assert done.returncode == 0, done.stderr

    alone = tmp_path / "alone"
    alone.mkdir()
    for index, frame in enumerate(frames):
        (alone / f"{index}.image").write_bytes(frame.rgb)
        (alone / f"{index}.depth").write_bytes(frame.depth)
    floats = {"intrinsics": [frame.intrinsics for frame in frames], "gravity": [frame.gravity for frame in frames]}
    floats["units_per_metre"] = [1000.0] * 3
    np.savez(alone / "inputs.npz", **{name: np.array(value, np.float32) for name, value in floats.items()})
    isolated = [sys.executable, "-I", "-c", ALONE, str(output / "1")]
    subprocess.run(isolated, check=True, cwd=alone)
    np.testing.assert_allclose(np.load(alone / "found.npy"), expected.embeddings, atol=1e-4)

    depth = tf.saved_model.load(str(output / "1")).signatures["depth"](
        image=tf.constant([frame.rgb for frame in frames])
    )
    crops = depth_frames.centre_crops(depth_frames.prepared(samples, 32), 32)
    np.testing.assert_allclose(depth["depth"], depth_network(crops.rgb).numpy().clip(0.001, 10), atol=1e-4)

    # the lines that the command prints, as they are
    (alone / "rgb.png").write_bytes(frames[0].rgb)
    (alone / "depth.png").write_bytes(frames[0].depth)
    pasted = done.stdout.split("in Python:\n\n")[1]
    printed = subprocess.run(
        [sys.executable, "-I", "-c", pasted], check=True, capture_output=True, text=True, cwd=alone
    )
    assert "tf.Tensor" in printed.stdout


@pytest.mark.slow
def test_the_command_refuses_in_one_line(tmp_path):
    refused = call_command(tmp_path, tmp_path / "serving")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and "not a run directory" in refused.stderr
