"""Imports run one way (docs/architecture.md): what a file must not know of, it does not import."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMANDS = ("train", "evaluate", "export", "experiments", "tools", "benchmarks", "examples", "tests")


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


@pytest.mark.parametrize(
    ("folder", "unknown", "allowed"),
    [
        ("keras_simsiam", ("tfrecords", "absl.app", *COMMANDS), ()),
        ("tfrecords", ("keras_simsiam", *COMMANDS), ("keras_simsiam.errors", "keras_simsiam.depth")),
        ("export", ("train", "evaluate", "experiments", "tests"), ()),
    ],
)
def test_a_room_knows_nothing_of_the_rooms_above_it(folder, unknown, allowed):
    files = imported(folder)
    assert len(files) > 5
    for path, modules in files.items():
        wrong = [name for name in modules if _is_of(name, unknown) and not _is_of(name, allowed)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}"


def test_keras_is_tensorflows_and_the_flags_are_read_by_commands():
    for path, modules in imported("keras_simsiam").items():
        assert not any(_is_of(name, ("keras",)) for name in modules), f"{path}: from tensorflow import keras"
        # errors.py turns a mistake in the flags into one line, for every command
        assert path.name == "errors.py" or "absl.flags" not in modules, f"{path} reads flags"


def test_the_wheel_has_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    files = [path for room in ("keras_simsiam", "tfrecords", "export") for path in (ROOT / room).rglob("__init__.py")]
    assert sorted(listed) == sorted(".".join(path.parent.relative_to(ROOT).parts) for path in files)


def _is_of(name, modules):
    return any(name == module or name.startswith(module + ".") for module in modules)
