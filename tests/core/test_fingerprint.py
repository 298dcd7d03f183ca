"""A cache's key changes with the code that it depends on, and with no other."""

import ast
import pathlib

import pytest

from keras_simsiam.core import fingerprint

ROOT = pathlib.Path(fingerprint.__file__).parents[2]

SOURCES = {
    "keras_simsiam/__init__.py": "from keras_simsiam.training.run import train",
    "keras_simsiam/depth/__init__.py": "",
    "keras_simsiam/depth/hha.py": "import numpy\nimport keras_simsiam\nfrom keras_simsiam.depth import camera\n",
    "keras_simsiam/depth/camera.py": "def project():\n    from keras_simsiam.core.errors import UserError\n",
    "keras_simsiam/depth/normals.py": "import keras_simsiam.depth.camera as camera\nfrom . import hha\n",
    "keras_simsiam/core/__init__.py": "",
    "keras_simsiam/core/errors.py": "class UserError(Exception): pass\n",
    "keras_simsiam/training/__init__.py": "",
    "keras_simsiam/training/run.py": "from keras_simsiam.training import monitors\n",
    "keras_simsiam/training/monitors/__init__.py": "from .log import Log\n",
    "keras_simsiam/training/monitors/log.py": "from tfrecords.reader import load\n",
    "tfrecords/__init__.py": "",
    "tfrecords/reader.py": "",
    "tools/doctor.py": "",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A function that writes changed files of a small repository, and gives the fingerprint of modules in it."""
    monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)

    def write(changes, *modules):
        for name, source in (SOURCES | changes).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(source)
        return fingerprint.of.__wrapped__(*(f"keras_simsiam.{module}" for module in modules))

    return write


@pytest.mark.parametrize(
    ("module", "reached"),
    [
        ("depth.hha", ("depth/hha.py", "depth/camera.py", "core/errors.py")),
        ("depth.normals", ("depth/normals.py", "depth/hha.py", "depth/camera.py", "core/errors.py")),
        ("training.run", ("training/run.py", "training/monitors/__init__.py", "training/monitors/log.py")),
    ],
)
def test_it_changes_with_what_a_module_imports_and_with_nothing_else(tree, module, reached):
    before = tree({}, module)
    for name, source in SOURCES.items():
        used = name.removeprefix("keras_simsiam/") in reached or (name, module) == (
            "tfrecords/reader.py",
            "training.run",
        )
        assert (tree({name: source + "\n# changed"}, module) != before) == used, name
    assert tree({}, module) == before


def test_a_module_that_is_newly_imported_counts(tree):
    new = {
        "keras_simsiam/depth/hha.py": SOURCES["keras_simsiam/depth/hha.py"] + "from keras_simsiam.depth import plane"
    }
    one = tree(new | {"keras_simsiam/depth/plane.py": "A = 1"}, "depth.hha")
    other = tree(new | {"keras_simsiam/depth/plane.py": "A = 2"}, "depth.hha")
    assert len({tree({}, "depth.hha"), one, other}) == 3


def test_several_modules_in_any_order_of_imports(tree):
    assert tree({}, "depth.hha", "depth.camera") == tree({}, "depth.camera", "depth.hha") == tree({}, "depth.hha")
    assert tree({}, "depth.hha", "training.run") != tree({}, "depth.hha")


def test_a_module_that_does_not_exist_is_an_error(tree):
    with pytest.raises(FileNotFoundError, match=r"depth/hhha\.py"):
        tree({}, "depth.hhha")


def _reached(*modules):
    return set(fingerprint._reached(modules))


def test_what_decides_the_cached_frames():
    found = _reached("keras_simsiam.views.cache")
    assert {"keras_simsiam.views.preprocessing", "keras_simsiam.depth.hha", "keras_simsiam.depth.normals"} <= found
    rooms = {name.split(".")[1] for name in found}
    assert rooms == {"core", "depth", "views"}
    assert "keras_simsiam.views.augmentation" not in found  # what is drawn afterwards must not cost the frames


def test_what_decides_an_untrained_encoder():
    found = _reached("keras_simsiam.training.untrained")
    assert {f"keras_simsiam.models.{name}" for name in ("encoder", "resnet")} <= found
    assert not any(name.startswith("keras_simsiam.methods") for name in found)


def test_the_library_takes_no_name_from_its_front_door():
    """The fingerprint would not see where such a name comes from."""
    for package in ("keras_simsiam", "tfrecords"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module in ("keras_simsiam", "tfrecords"):
                    inner = [ROOT / node.module / alias.name for alias in node.names]
                    assert all(each.is_dir() or each.with_suffix(".py").exists() for each in inner), path
