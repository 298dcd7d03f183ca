"""What is said of versions that do not go together. The environment of each case is made up."""

import importlib.metadata
import subprocess
import sys

import pytest

from keras_simsiam.core import versions

CLASSIC = {"tensorflow": "2.15.1", "keras": "2.15.0", "numpy": "1.26.4"}
MODERN = {"tensorflow": "2.21.0", "keras": "3.15.1", "numpy": "2.5.5"}


@pytest.fixture
def environment(monkeypatch):
    def make(python, installed, legacy=""):
        def version(package):
            if package not in installed:
                raise importlib.metadata.PackageNotFoundError(package)
            return installed[package]

        monkeypatch.setattr(sys, "version_info", (*python, 0, "final", 0))
        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", legacy)

    return make


def test_this_one_goes_together():
    assert versions.problem() is None


@pytest.mark.parametrize(
    ("python", "installed"), [((3, 11), CLASSIC), ((3, 12), MODERN), ((3, 13), MODERN), ((3, 11), MODERN)], ids=str
)
def test_the_stacks_go_together(environment, python, installed):
    environment(python, installed)
    assert versions.problem() is None


@pytest.mark.parametrize(
    ("python", "installed", "line"),
    [
        ((3, 9), CLASSIC, "Python 3.9 has no TensorFlow that this project runs on: use Python 3.11, 3.12 or 3.13"),
        ((3, 14), MODERN, "Python 3.14 has no TensorFlow that this project runs on: use Python 3.11, 3.12 or 3.13"),
        ((3, 12), {}, "tensorflow is not installed: pip install -r requirements.txt"),
        (
            (3, 11),
            CLASSIC | {"keras": "3.15.1"},
            "keras 3.15.1 does not go with tensorflow 2.15.1: pip install keras==2.15.0, or pip install -r requirements.txt",
        ),
        (
            (3, 11),
            CLASSIC | {"numpy": "2.0.0rc1"},
            "numpy 2.0.0rc1 does not go with tensorflow 2.15.1: "
            "pip install numpy==1.26.4, or pip install -r requirements.txt",
        ),
        (
            (3, 13),
            MODERN | {"keras": "2.15.0"},
            "keras 2.15.0 does not go with tensorflow 2.21.0: pip install -r requirements.txt",
        ),
    ],
    ids=str,
)
def test_a_mixture_is_one_line_with_the_remedy(environment, python, installed, line):
    environment(python, installed)
    assert versions.problem() == line


def test_keras_2_by_the_environment(environment):
    environment((3, 12), MODERN, legacy="1")
    assert versions.problem().endswith("unset it")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from keras_simsiam.core import command", "error: keras 9.9 does not"),
        ("import keras_simsiam; keras_simsiam.SimSiam", "ImportError: keras 9.9 does not"),
    ],
)
def test_a_command_ends_and_a_program_gets_an_import_error(code, expected):
    """Before anything of TensorFlow is imported."""
    fake = "import importlib.metadata as m; m.version = {'tensorflow': '2.15.1', 'keras': '9.9'}.__getitem__; "
    process = subprocess.run([sys.executable, "-c", fake + code], capture_output=True, text=True)
    assert process.returncode == 1 and process.stderr.splitlines()[-1].startswith(expected)
    assert (len(process.stderr.splitlines()) == 1) == expected.startswith("error")
