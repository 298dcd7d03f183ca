"""TensorFlow Serving itself: wherever its binary is on the PATH, or one that serves `rgbd_encoder` is at TF_SERVING_ADDRESS."""

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="needs the extra serving")

import grpc

from export import client, transport
from tests.export.test_checks import FLAWED

pytestmark = pytest.mark.slow
CONFIG = Path(client.__file__).parent / "serving"


@contextlib.contextmanager
def started(binary, models, folder):
    """The server with the repository's configuration, and the models of a folder."""
    text = (CONFIG / "models.config").read_text().replace("/models/", f"{models}/")
    (folder / "models.config").write_text(text)
    with socket.socket() as free, socket.socket() as also_free:
        free.bind(("localhost", 0))
        also_free.bind(("localhost", 0))
        port, rest_port = free.getsockname()[1], also_free.getsockname()[1]
    arguments = [f"--port={port}", f"--rest_api_port={rest_port}", f"--model_config_file={folder}/models.config"]
    process = subprocess.Popen([binary, *arguments, f"--monitoring_config_file={CONFIG}/monitoring.config"])
    try:
        grpc.channel_ready_future(grpc.insecure_channel(f"localhost:{port}")).result(timeout=300)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def connection(version, tmp_path_factory):
    """A connection to the server."""
    address, binary = os.environ.get("TF_SERVING_ADDRESS"), shutil.which("tensorflow_model_server")
    if not (address or binary):
        pytest.skip("there is neither tensorflow_model_server on the PATH nor TF_SERVING_ADDRESS")
    with contextlib.ExitStack() as stack:
        if not address:
            address = stack.enter_context(started(binary, version.parents[1], tmp_path_factory.mktemp("server")))
        connection = transport.connect(address, "rgbd_encoder", 300)
        stack.callback(connection.close)
        yield connection


def test_frames_of_several_sizes(connection, make_frame):
    frames = [client.Frame(f"f{seed}", **make_frame(30 + 2 * seed, 40 - seed, seed)) for seed in range(5)]
    together = client.embed(connection, frames)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(client.embed(connection, frames, batch_size=2), together, atol=1e-4)
    maps = connection.predict(client.tensors(frames), "features_map")
    assert all(len(array) == 5 for array in maps.values())


def test_gravity_may_be_left_out(connection, make_frame):
    tensors = client.tensors(
        [client.Frame(f"f{seed}", **make_frame(seed=seed) | {"gravity": (0, 0, 0)}) for seed in (1, 2)]
    )
    expected = connection.predict(tensors)["embedding"]
    del tensors["gravity"]
    np.testing.assert_allclose(connection.predict(tensors)["embedding"], expected, atol=1e-4)


def test_bad_frames_are_refused_and_good_ones_still_answered(connection, make_frame):
    good = make_frame()
    expected = client.embed(connection, [client.Frame("good", **good)])
    for name, change, sentence in FLAWED.values():
        bad = client.Frame("bad", **good | {name: change(good[name])})
        with pytest.raises(transport.Refused, match=f"bad: the server refuses it: .*{sentence.split('[')[0][:20]}"):
            client.embed(connection, [bad])
        np.testing.assert_allclose(client.embed(connection, [client.Frame("good", **good)]), expected, atol=1e-4)
