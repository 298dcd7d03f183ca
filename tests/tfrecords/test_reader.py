import functools
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from keras_simsiam.errors import UserError
from tfrecords import reader
from tfrecords.writer import Writer


@pytest.fixture
def data(make_frame, tmp_path):
    output = str(tmp_path / "data")
    with Writer(output, shard_bytes=600) as writer:
        for number in range(5):
            writer.add("train", make_frame(f"a_1_{number}", number))
        writer.commit({"classes": ["a", "b"], "instances": ["a_1", "b_1"], "excluded": {}})
    return output


def test_load(data):
    info = reader.load(data)
    assert (info.path, info.classes, info.instances, info.has_depth) == (data, ("a", "b"), ("a_1", "b_1"), True)
    assert info.splits["train"].count == 5
    assert all(os.path.exists(shard) for shard in info.splits["train"].shards)


def test_samples_are_the_decoded_records_in_the_same_order(data):
    info = reader.load(data)
    decode = reader.decode(info)
    decoded = [decode(record)["frame"].numpy() for record in reader.records(info, "train")]
    assert decoded == [sample["frame"].numpy() for sample in reader.samples(info, "train")]
    assert decoded == [f"a_1_{number}".encode() for number in range(5)]


def test_color_only_data_has_no_depth(make_frame, tmp_path):
    with Writer(str(tmp_path / "data")) as writer:
        writer.add("train", make_frame(depth=None))
        writer.commit({"classes": [], "instances": []})
    info = reader.load(str(tmp_path / "data"))
    assert not info.has_depth
    assert "depth" not in reader.samples(info, "train").element_spec


def test_missing_data_set_names_the_folder_and_the_remedy(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}.*python -m tfrecords.build"):
        reader.load(str(tmp_path))


def test_unknown_split_lists_those_there(data):
    with pytest.raises(UserError, match=r"no split 'val': it has train$"):
        reader.records(reader.load(data), "val")


def test_damaged_description(data):
    with open(os.path.join(data, "dataset.json"), "w") as file:
        file.write('{"splits": ')
    with pytest.raises(UserError, match=r"dataset.json is damaged"):
        reader.load(data)


def test_description_without_its_keys(data):
    with open(os.path.join(data, "dataset.json"), "w") as file:
        file.write("{}")
    with pytest.raises(UserError, match=r"dataset\.json is damaged .no 'schema_version'"):
        reader.load(data)


def test_missing_and_truncated_shards_are_named(data):
    shard = reader.load(data).splits["train"].shards[1]
    os.truncate(shard, os.path.getsize(shard) - 4)
    with pytest.raises(UserError, match=r"train-00001.tfrecord has \d+ bytes, not \d+ as written"):
        reader.load(data)
    os.remove(shard)
    with pytest.raises(UserError, match=r"train-00001\.tfrecord is missing"):
        reader.load(data)


def test_newer_schema(data):
    path = os.path.join(data, "dataset.json")
    with open(path) as file:
        content = json.load(file)
    with open(path, "w") as file:
        json.dump(content | {"schema_version": 99}, file)
    with pytest.raises(UserError, match="schema version 99"):
        reader.load(data)


class _RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Python's own server ignores ranges, which real ones do not and tensorflow-io needs."""

    def do_GET(self):
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


@pytest.fixture
def url(data):
    handler = functools.partial(_RangeHandler, directory=data)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_reads_over_http(url):
    info = reader.load(url)
    names = [sample["frame"].numpy().decode() for sample in reader.samples(info, "train")]
    assert names == [f"a_1_{number}" for number in range(5)]


def test_unreachable_address(url):
    with pytest.raises(UserError, match=r"cannot read .*nothing/dataset.json.*check the address"):
        reader.load(f"{url}/nothing")


@pytest.mark.slow
def test_local_data_needs_no_tensorflow_io(data):
    code = f"import sys; from tfrecords import reader; reader.load({data!r}); sys.exit('tensorflow_io' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
