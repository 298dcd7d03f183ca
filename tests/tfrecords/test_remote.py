"""Shards on a web server that answers requests for byte ranges, as real ones do."""

import functools
import http.server
import os
import pathlib
import subprocess
import sys
import threading

import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import Dataset

pytest.importorskip("tensorflow_io", reason="reads http on Python 3.11 alone")
ROOT = pathlib.Path(__file__).parents[2]


class _RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Python's own server ignores ranges, which real ones do not and tensorflow-io needs."""

    goes_away_at = None

    def do_GET(self):
        if self.goes_away_at and self.path.endswith(self.goes_away_at):
            threading.Thread(target=_close, args=(self.server,)).start()
            return
        wanted = self.headers.get("Range")
        path = self.translate_path(self.path)
        if not wanted or not os.path.isfile(path):
            return super().do_GET()
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        with open(path, "rb") as file:
            content = file.read()
        if first >= len(content):
            return self.send_error(416)
        part = content[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


def _close(server):
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(write_shards):
    return write_shards([3, 2, 4])


@pytest.fixture
def server(folder):
    handler = functools.partial(_RangeHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}"


def _names(dataset):
    return [dataset.decode(record)["frame"].numpy().decode() for record in dataset.records("train")]


def test_the_records_are_those_of_the_folder_in_the_same_order(folder, url):
    local, remote = Dataset(folder), Dataset(url)
    assert _names(remote) == _names(local)
    assert remote.record_bytes("train") == local.record_bytes("train")
    names = [sample["frame"].numpy().decode() for sample in remote.samples("train")]
    assert names == ["0_0", "0_1", "0_2", "1_0", "1_1", "2_0", "2_1", "2_2", "2_3"]


def test_two_workers_share_remote_shards(url):
    dataset = Dataset(url)
    shares = [dataset.share("train", tf.distribute.InputContext(2, worker)) for worker in range(2)]
    assert sorted(_names(shares[0]) + _names(shares[1])) == sorted(_names(dataset))


def test_unreachable_address(url):
    with pytest.raises(UserError, match=r"cannot read .*nothing/dataset.json.*check the address") as error:
        Dataset(f"{url}/nothing")
    assert "\n" not in str(error.value)


def test_a_missing_shard_is_named(folder, url):
    dataset = Dataset(url)
    os.remove(os.path.join(folder, "1.tfrecord"))
    with pytest.raises(UserError, match=r"http://.*/1\.tfrecord cannot be read .*404") as error:  # noqa: SIM117
        with dataset.naming_corrupt_shards(("train",)):
            _names(dataset)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"http://.*/1\.tfrecord cannot be read .*404"):
        dataset.without_corrupt_records(("train",))


def test_a_corrupt_remote_shard_is_named_and_left_out(folder, url, capsys):
    dataset = Dataset(url)
    with open(os.path.join(folder, "2.tfrecord"), "r+b") as file:
        file.seek(40)
        file.write(b"damage")
    with pytest.raises(UserError, match=r"2\.tfrecord is corrupt, record 0"), dataset.naming_corrupt_shards(("train",)):
        _names(dataset)
    assert sorted(_names(dataset.without_corrupt_records(("train", "val")))) == ["0_0", "0_1", "0_2", "1_0", "1_1"]


def test_a_shard_cut_short_on_the_server(folder, url):
    """dataset.json is believed for the sizes of remote shards: the reading finds it."""
    os.truncate(os.path.join(folder, "0.tfrecord"), 5)
    dataset = Dataset(url)
    with pytest.raises(UserError, match=r"0\.tfrecord is corrupt, record 0"), dataset.naming_corrupt_shards(("train",)):
        _names(dataset)


def test_a_server_that_goes_away(server, url):
    dataset = Dataset(url)
    server.shutdown()
    server.server_close()
    with (
        pytest.raises(UserError, match=r"0\.tfrecord cannot be read .*connect") as error,
        dataset.naming_corrupt_shards(("train",)),
    ):
        _names(dataset)
    assert "\n" not in str(error.value)


def test_a_server_that_was_away_for_a_while(url):
    dataset = Dataset(url)
    with pytest.raises(UserError, match=r"failed for a while .*Unable to perform.*same command again"):  # noqa: SIM117
        with dataset.naming_corrupt_shards(("train",)):
            raise tf.errors.InternalError(None, None, "Unable to perform (7): Failed to connect [Op:x] name: ")


def _train(url, workdir):
    sizes = ["--image_size=32", "--width=4", "--batch_size=4", "--epochs=1", "--modality=rgb"]
    command = [sys.executable, "train.py", f"--data_dir={url}", f"--workdir={workdir}", *sizes]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_an_epoch_of_training_from_a_web_server(url, tmp_path):
    result = _train(url, tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "run" / "encoder.keras").exists()


@pytest.mark.slow
def test_a_server_that_goes_away_ends_training_in_one_line(url, tmp_path, monkeypatch):
    monkeypatch.setattr(_RangeHandler, "goes_away_at", ".tfrecord")
    result = _train(url, tmp_path / "run")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"error: {url}/0.tfrecord cannot be read") and "same command again" in last
