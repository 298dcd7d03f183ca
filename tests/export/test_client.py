"""The client against TensorFlow Serving's services in this process, by gRPC and by a REST server that hands on to them."""

import base64
import contextlib
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving", reason="needs the extra serving")

import grpc

from export import client, transport
from keras_simsiam.core.errors import UserError
from tests import prediction_service
from tests.serving_session import Model
from tfrecords import camera_file


@pytest.fixture(scope="module")
def address(version):
    with prediction_service.served(version) as address:
        yield address


@contextlib.contextmanager
def rest_server(answer):
    """Serves `answer(path, body)` → (status, dict) by HTTP; gives the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            status, content = answer(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def rest_address(version):
    """The row format of TensorFlow Serving's REST API, on the model."""
    model = Model(version)
    types = {"image": object, "depth": object}

    def value(item):
        return base64.b64decode(item["b64"]) if isinstance(item, dict) else item

    def answer(path, body):
        assert path == "/v1/models/rgbd_encoder:predict"
        rows = body["instances"]
        tensors = {name: np.array([value(row[name]) for row in rows], types.get(name, np.float32)) for name in rows[0]}
        try:
            outputs = model.run(body["signature_name"], tensors)
        except Exception as error:
            return 400, {"error": error.message}
        if len(outputs) == 1:
            return 200, {"predictions": next(iter(outputs.values())).tolist()}
        return 200, {"predictions": [{name: outputs[name][i].tolist() for name in outputs} for i in range(len(rows))]}

    with rest_server(answer) as address:
        yield address


def frames(make_frame, count):
    return [client.Frame(f"f{seed}", **make_frame(30 + seed, 40, seed)) for seed in range(count)]


def test_both_ways_give_the_embeddings_of_the_model(version, address, rest_address, make_frame, batch):
    expected = Model(version).run("serving_default", batch(*(make_frame(30 + seed, 40, seed) for seed in range(5))))
    for server in (address, rest_address):
        connection = transport.connect(server, "rgbd_encoder", 60)
        found = client.embed(connection, frames(make_frame, 5), batch_size=2)
        np.testing.assert_allclose(found, expected["embedding"], atol=1e-5)
        maps = connection.predict(client.tensors(frames(make_frame, 2)), "features_map")
        connection.close()
        assert set(maps) == {"c5", "map"} and maps["map"].shape == (2, 7, 7, 4)


def test_a_refused_frame_is_named(address, rest_address, make_frame):
    bad = client.Frame("rgb.png depth.png", **make_frame() | {"image": b"text"})
    for server in (address, rest_address):
        connection = transport.connect(server, "rgbd_encoder", 60)
        with pytest.raises(transport.Refused) as caught:
            client.embed(connection, [*frames(make_frame, 3), bad], batch_size=16)
        connection.close()
        assert str(caught.value) == "rgb.png depth.png: the server refuses it: image must be a JPEG or PNG file"


def test_values_stay_in_the_sentence(address, make_frame):
    connection = transport.connect(address, "rgbd_encoder", 60)
    with pytest.raises(transport.Refused, match=r"intrinsics must be finite .* not \[nan 1 1 1\]$"):
        client.embed(connection, [client.Frame("f", **make_frame() | {"intrinsics": (np.nan, 1, 1, 1)})])
    connection.close()


def test_what_the_server_itself_refuses(address, make_frame):
    connection = transport.connect(address, "rgbd_encoder", 60)
    tensors = client.tensors(frames(make_frame, 1))
    without = {name: value for name, value in tensors.items() if name != "intrinsics"}
    with pytest.raises(transport.Refused, match=r"Missing but required: .*intrinsics"):
        connection.predict(without)
    with pytest.raises(UserError, match=r'answers FAILED_PRECONDITION: .* "depth" not found'):
        connection.predict(tensors, "depth")
    with pytest.raises(UserError, match="answers NOT_FOUND"):
        transport.connect(address, "another", 60).predict(tensors)
    del tensors["gravity"]
    assert connection.predict(tensors)["embedding"].shape == (1, 4)  # estimated
    connection.close()


class Busy(prediction_service.Services):
    """Has too much to do for the first two requests."""

    def __init__(self, name, model):
        super().__init__(name, model)
        self.asked = 0

    def Predict(self, request, context):
        self.asked += 1
        if self.asked <= 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
        return super().Predict(request, context)


def test_a_busy_server_is_asked_again(version, make_frame, monkeypatch):
    monkeypatch.setattr(prediction_service, "Services", Busy)
    with prediction_service.served(version) as address:
        connection = transport.connect(address, "rgbd_encoder", 60)
        assert client.embed(connection, frames(make_frame, 1)).shape == (1, 4)
        connection.close()


def test_a_busy_rest_server_is_asked_again(make_frame):
    statuses = [503, 503, 200]
    with rest_server(lambda path, body: (statuses.pop(0), {"predictions": [[1.0, 2.0]]})) as address:
        connection = transport.connect(address, "rgbd_encoder", 60)
        assert client.embed(connection, frames(make_frame, 1)).tolist() == [[1.0, 2.0]]
        connection.close()
    assert not statuses


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_nobody_there_and_no_time(make_frame, scheme, monkeypatch):
    monkeypatch.setattr(transport, "_PAUSE", 0.01)
    connection = transport.connect(f"{scheme}localhost:1", "rgbd_encoder", 20)
    with pytest.raises(UserError, match=r"`server=.*localhost:1` cannot be reached"):
        client.embed(connection, frames(make_frame, 1))
    connection.close()


def test_an_answer_that_does_not_come(make_frame):
    done = threading.Event()
    with rest_server(lambda path, body: (done.wait(30) and 200, {})) as address:
        connection = transport.connect(address, "rgbd_encoder", 0.2)
        with pytest.raises(UserError, match=r"did not answer within 0.2 s"):
            client.embed(connection, frames(make_frame, 1))
        done.set()
        connection.close()


def test_frames_of_files(tmp_path):
    for name in ("rgb.png", "depth.png"):
        (tmp_path / name).write_bytes(name.encode())
    paths = [str(tmp_path / name) for name in ("rgb.png", "depth.png")]
    camera = camera_file.parse("500,500,320,240")
    (frame,) = client.read_frames(paths, "rgbd", camera=camera, units_per_metre=1000)
    assert (frame.image, frame.depth, frame.units_per_metre) == (b"rgb.png", b"depth.png", 1000)
    assert frame.intrinsics == (500, 500, 320, 240) and frame.gravity == (0, 0, 0)
    assert client.read_frames(paths, "rgb")[1].image == b"depth.png"
    assert set(client.tensors(client.read_frames(paths[:1], "rgb"))) == {"image"}
    assert "image" not in client.tensors(
        client.read_frames(paths[1:], "hha", camera=camera, units_per_metre=1000, gravity=(0, 1, 0))
    )
    (tmp_path / "camera.json").write_text('{"fx": 1, "fy": 1, "cx": 0, "cy": 0, "units_per_metre": 5000}')
    assert client.read_frames(paths, "rgbd")[0].units_per_metre == 5000
    for wrong, message in [
        (paths[:1], "in pairs"),
        ([], "0 files"),
        ([paths[0], "none.png"], "none.png: No such file"),
    ]:
        with pytest.raises(UserError, match=message):
            client.read_frames(wrong, "rgbd", camera=camera, units_per_metre=1000)


@pytest.mark.slow
def test_the_command(address, rest_address, make_frame, tmp_path):
    for name in ("image", "depth"):
        (tmp_path / f"{name}.png").write_bytes(make_frame()[name])

    def call(server, *arguments):
        files = [str(tmp_path / f"{name}.png") for name in ("image", "depth")]
        command = [sys.executable, "-m", "export.client", f"--server={server}", *files, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=Path(client.__file__).parents[1])

    given = ("--camera=50,50,19.5,14.5", "--units_per_metre=1000")
    answers = [json.loads(call(server, *given).stdout)["embedding"] for server in (address, rest_address)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)
    output = tmp_path / "embeddings.npy"
    assert "float32 [1, 4]" in call(address, *given, f"--output={output}").stdout
    np.testing.assert_allclose(np.load(output), [answers[0]], atol=1e-6)
    refused = call(address, "--camera=50,50,19.5,14.5", "--units_per_metre=1", f"--output={output}.other")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and "depth must be in metres" in refused.stderr
    assert not Path(f"{output}.other").exists()
