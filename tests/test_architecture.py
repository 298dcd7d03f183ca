"""Imports run one way, folder by folder (docs/architecture.md)."""

import ast
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported(folder):
    """The modules that the files of a folder import, a dict from a file's path to a set of names."""
    return {path: _modules(ast.parse(path.read_text())) for path in (ROOT / folder).rglob("*.py")}


def _modules(tree):
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


# The rooms of the library from the ground up: each may use those before it, and no folder reaches back.
ROOMS = (
    *("core", "depth", "models", "optimization", "views", "probes", "dense", "methods", "training", "evaluation"),
    "commands",
)
# What the top room uses beside them.
SHIPPED = ("tfrecords", "export")
OUTSIDE = ("train", "evaluate", "tfrecords", "export", "experiments", "tools", "benchmarks", "examples", "tests")


def test_the_librarys_ground_floor_holds_rooms_alone():
    library = ROOT / "keras_simsiam"
    assert {path.name for path in library.glob("*.py")} == {"__init__.py"}
    assert {path.parent.name for path in library.glob("*/__init__.py")} == set(ROOMS)
    assert len(list((library / "evaluation").glob("*.py"))) <= 9  # eight and __init__.py


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_the_rooms_below_it_alone(room):
    files = imported(f"keras_simsiam/{room}")
    assert len(files) > 1
    allowed = {f"keras_simsiam.{name}" for name in ROOMS[: ROOMS.index(room) + 1]}
    outside = set(OUTSIDE) - set(SHIPPED if room == "commands" else ())
    for path, modules in files.items():
        above = [name for name in modules if name.startswith("keras_simsiam.") and not _is_of(name, allowed)]
        wrong = above + [name for name in modules if _is_of(name, outside)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}"


@pytest.mark.parametrize(
    ("folder", "unknown", "allowed"),
    [
        (
            "tfrecords",
            ("keras_simsiam", *(name for name in OUTSIDE if name != "tfrecords")),
            ("keras_simsiam.core", "keras_simsiam.depth"),
        ),
        ("export", ("train", "evaluate", "experiments", "tools", "tests", "keras_simsiam.commands"), ()),
        ("tools", ("train", "evaluate", "experiments", "export", "tests"), ()),
    ],
)
def test_the_folders_beside_the_library_know_nothing_of_the_commands(folder, unknown, allowed):
    files = imported(folder)
    assert len(files) > 2
    for path, modules in files.items():
        wrong = [name for name in modules if _is_of(name, unknown) and not _is_of(name, allowed)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}"


def test_the_picture_shows_the_imports():
    script = runpy.run_path(str(ROOT / "docs" / "draw_architecture.py"))
    drawn = script["draw"](script["imports"]())
    assert drawn == (ROOT / "docs" / "images" / "architecture.svg").read_text(), "run python docs/draw_architecture.py"


def test_keras_is_tensorflows_and_the_flags_are_read_by_commands():
    for path, modules in imported("keras_simsiam").items():
        assert not any(_is_of(name, ("keras",)) for name in modules), f"{path}: from tensorflow import keras"
        # command.py parses the flags for every command; settings.py makes flags of fields
        file = path.relative_to(ROOT / "keras_simsiam").as_posix()
        of_flags = file in ("core/command.py", "core/settings.py") or file.startswith("commands/")
        assert of_flags or "absl.flags" not in modules, f"{path} reads flags"


def test_one_seam_knows_which_keras_it_is():
    folders = ("keras_simsiam", "tfrecords", "export", "experiments", "tools", "benchmarks", "examples")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in files}
    seam, lamb = "keras_simsiam/core/keras_compat.py", "keras_simsiam/optimization/lamb.py"
    for text, places in (
        ("KERAS_3", {seam, lamb}),
        ("import tensorflow_addons", {lamb}),
        ("import tensorflow_io", {"tfrecords/filesystems.py"}),
    ):
        assert {path for path, content in texts.items() if text in content} == places


def test_the_wheel_has_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    files = [path for room in ("keras_simsiam", "tfrecords", "export") for path in (ROOT / room).rglob("__init__.py")]
    folders = [".".join(path.parent.relative_to(ROOT).parts) for path in files]
    assert sorted(listed) == sorted([*folders, "keras_simsiam.recipes"])  # of recipes/, which holds no module


def _is_of(name, modules):
    return any(name == module or name.startswith(module + ".") for module in modules)
