import dataclasses
import os
import pathlib
import time

import numpy as np
import pytest

import keras_simsiam
from keras_simsiam.core import fingerprint
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import feature_store
from keras_simsiam.views.preprocessing import Preprocessing

RANDOM = np.random.default_rng(0)
EMBEDDINGS = RANDOM.normal(size=(10, 6)).astype(np.float32)


def chunks(names):
    """Ten samples of three, three, three and one; an encoder's embeddings are those of the first, times its place."""
    for start in range(0, 10, 3):
        rows = slice(start, start + 3)
        facts = {
            "label": np.arange(10)[rows] % 3,
            "frame": np.array([f"frame/{index}" * (index + 1) for index in range(10)])[rows],
            "instance": -np.arange(10)[rows],
        }
        yield [EMBEDDINGS[rows] * (place + 1) for place in range(len(names))], facts


def never(names):
    raise AssertionError(f"{names} are there already")


def test_features_are_extracted_once_and_are_the_same_from_disk(tmp_path):
    first = feature_store.Store(tmp_path / "a" / "b", 1).features({"one": "1", "two": "2"}, 10, chunks)
    again = feature_store.Store(tmp_path / "a" / "b", 1).features({"two": "2", "one": "1"}, 10, never)
    for found in (first, again):
        np.testing.assert_array_equal(found["one"].embeddings, EMBEDDINGS)
        np.testing.assert_array_equal(found["two"].embeddings, 2 * EMBEDDINGS)
        assert list(found["one"].labels) == [0, 1, 2] * 3 + [0] and list(found["two"].instances) == list(
            range(0, -10, -1)
        )
        assert found["one"].frames[9] == "frame/9" * 10
    with pytest.raises(ValueError, match="read-only"):
        again["one"].embeddings[0] = 0


def test_only_what_is_missing_is_extracted(tmp_path):
    asked = []

    def embed(names):
        asked.append(names)
        return chunks(names)

    features = feature_store.Store(tmp_path, 1)
    features.features({"one": "1"}, 10, embed)
    features.features({"one": "1", "two": "2"}, 10, embed)
    assert asked == [["one"], ["two"]]


def test_what_fails_leaves_nothing(tmp_path):
    def diverged(names):
        yield next(iter(chunks(names)))
        yield [np.full((3, 6), np.nan, np.float32)], {}

    for embed, line in [(diverged, "diverged"), (lambda names: iter(()), "no samples")]:
        with pytest.raises(UserError, match=line):
            feature_store.Store(tmp_path, 1).features({"one": "1"}, 10, embed)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file cannot be written .*`feature_cache`"):
        feature_store.Store(tmp_path / "file", 1).features({"one": "1"}, 10, chunks)


def test_what_is_no_entry_is_left_alone(tmp_path):
    """A user's folders that look like an entry by half, a hidden one of another command, files: older than any entry."""
    for name, file in (("holiday", "facts.npz"), ("0" * 32, "mine.txt"), (".partial-build", "mine.txt")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("x" * 5000)
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".partial-file").write_text("mine")
    os.utime(tmp_path / ".partial-file", (0, 0))
    before = {path: path.is_file() and path.read_text() for path in tmp_path.rglob("*")}
    for name in "ab":  # the second makes room: the limit is less than an entry
        feature_store.Store(tmp_path, 1e-9).features({name: name}, 10, chunks)
    assert {path: path.is_file() and path.read_text() for path in before} == before
    (entry,) = tmp_path.glob("*/embeddings.npy")
    # what is the user's does not count: 5000 bytes more would leave no room for two entries
    size = sum(file.stat().st_size for file in entry.parent.iterdir())
    feature_store.Store(tmp_path, 2.5 * size / 1e9).features({"c": "c"}, 10, chunks)
    assert len(list(tmp_path.glob("*/embeddings.npy"))) == 2


def test_the_least_recently_used_makes_room(tmp_path):
    for place, name in enumerate("abc"):
        features = feature_store.Store(tmp_path, 1).features({name: name}, 10, chunks)
        # the map has its entry's file open: its name tells the folder
        os.utime(os.path.dirname(features[name].embeddings.filename), (place, place))
    feature_store.Store(tmp_path, 1).features({"a": "a"}, 10, never)  # used now
    size = sum(file.stat().st_size for file in tmp_path.glob("*/*")) / 3
    killed = tmp_path / ".partial-killed"
    killed.mkdir()
    os.utime(killed, (0, time.time() - 2 * 86400))
    feature_store.Store(tmp_path, 2.5 * size / 1e9).features({"d": "d"}, 10, chunks)
    remain = feature_store.Store(tmp_path, 1)
    remain.features({"a": "a", "d": "d"}, 10, never)
    assert len(list(tmp_path.iterdir())) == 2
    # what one object has given out stays, beyond the limit too
    small = feature_store.Store(tmp_path, 1e-9)
    small.features({"a": "a"}, 10, never)
    small.features({"e": "e"}, 10, chunks)
    small.features({"a": "a", "e": "e"}, 10, never)


def test_the_key_changes_with_all_that_the_features_depend_on(monkeypatch):
    base = ("sha", Preprocessing("rgbd", 64), "split", "clean")
    others = [("other", *base[1:]), (*base[:2], "part", "clean"), (*base[:3], "dark 1/4")]
    changes = {"modality": "hha", "image_size": 65, "hha_encoding": "gupta", "holes": "mask", "depth_input": "jet"}
    changes["holes_model"] = "completion.npz"
    assert set(changes) == {field.name for field in dataclasses.fields(Preprocessing)}
    others += [("sha", dataclasses.replace(base[1], **{name: value}), *base[2:]) for name, value in changes.items()]
    keys = {feature_store.key(one, repr(two), *rest) for one, two, *rest in [base, *others]}
    with monkeypatch.context() as patch:
        patch.setattr(keras_simsiam, "__version__", "another")
        keys.add(feature_store.key(base[0], repr(base[1]), *base[2:]))
    monkeypatch.setattr(fingerprint, "of", lambda *modules: f"changed {modules}")
    keys.add(feature_store.key(base[0], repr(base[1]), *base[2:]))
    assert len(keys) == len(others) + 3


def test_the_key_covers_the_code_between_a_sample_and_its_embedding():
    """Of the encoders all but what finds and holds them: that reaches the whole of training, and decides no number."""
    found = {pathlib.Path(*name.split(".")[1:]) for name in fingerprint._reached(feature_store._CODE)}
    package = pathlib.Path(keras_simsiam.__file__).parent
    paths = [*package.glob("depth/*.py"), package / "views" / "batches.py", package / "probes" / "features.py"]
    paths += [path for path in package.glob("evaluation/encoders/*.py") if path.stem not in ("compared", "source")]
    wanted = {path.relative_to(package).with_suffix("") for path in paths if path.stem != "__init__"}
    assert len(wanted) > 8 and wanted <= found
    assert not any(path.parts[0] in ("methods", "training", "optimization", "dense") for path in found)
