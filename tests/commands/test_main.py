"""The command `keras-simsiam`, each time in a new process, from a folder that is not the checkout."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

import keras_simsiam
from keras_simsiam.commands import main
from keras_simsiam.core import errors

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path):
    """A function that runs the command and gives its exit status, stdout and stderr."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def call(*arguments):
        command = [sys.executable, "-m", "keras_simsiam.commands.main", *map(str, arguments)]
        found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        return found.returncode, found.stdout, found.stderr

    return call


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=str)
def test_it_lists_its_subcommands_a_line_each(call, arguments):
    begun = time.monotonic()
    code, printed, said = call(*arguments)
    assert time.monotonic() - begun < 1.5
    assert (code, said) == (0, "")
    rows = [line.split(maxsplit=1) for line in printed.splitlines() if line.startswith("  ")]
    assert [name for name, _ in rows] == list(main.SUBCOMMANDS)
    assert all(len(line) <= 110 for line in printed.splitlines())


def test_its_version(call):
    assert call("--version") == (0, f"keras-simsiam {keras_simsiam.__version__}\n", "")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("trian", "did you mean train?"),
        ("evaluat", "did you mean evaluate?"),
        ("import_torch", "did you mean import-torch?"),
        ("xyz", f"choose one of {', '.join(main.SUBCOMMANDS)}"),
    ],
)
def test_an_unknown_subcommand_is_one_line_with_the_nearest(call, given, hint):
    assert call(given) == (1, "", f"error: keras-simsiam has no '{given}': {hint}\n")


@pytest.mark.parametrize("subcommand", main.SUBCOMMANDS)
def test_help_comes_at_once(call, subcommand):
    begun = time.monotonic()
    code, printed, said = call(subcommand, "--help")
    assert time.monotonic() - begun < 2
    assert (code, said) == (0, "")
    assert f"\nkeras-simsiam {subcommand}:\n" in printed and str(ROOT) not in printed


def test_a_mistake_is_the_line_of_the_command(call):
    code, printed, said = call("doctor")
    assert (code, printed) == (1, "")
    assert said == "error: name one data set's folder: keras-simsiam doctor DIR\n"
    code, _, said = call("depth2hha", "--colour")
    assert code == 1 and said == "error: Unknown command line flag 'colour'\n"


@pytest.mark.slow
def test_train_without_flags_or_with_a_wrong_one(call):
    code, _, said = call("train")
    assert code == 1 and said.startswith(
        "error: flag --data_dir=None: Flag --data_dir must have a value other than None."
    )
    code, _, said = call("train", "--recipe=rgdb", "--data_dir=data", "--workdir=run")
    assert code == 1 and said.startswith("error: --recipe=rgdb: there is no such recipe; did you mean rgbd")
    (path := pathlib.Path(__file__).parents[1] / "no.flags").exists()
    code, _, said = call("train", f"--flagfile={path}")
    assert code == 1 and "Traceback" not in said and str(path) in said


@pytest.mark.slow
def test_its_workers_build_the_same_shards(call, tmp_path):
    sizes = ["--train_instances=2", "--test_instances=1", "--frames_per_instance=3", "--workers=2"]
    code, _, said = call("build", "--source=synthetic", "--output=one", *sizes)
    assert code == 0, said
    command = [sys.executable, "-m", "tfrecords.build", "--source=synthetic", f"--output={tmp_path}/other", *sizes]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "other"))
    assert one == other
    code, printed, _ = call("inspect", "one", "--verify")
    assert code == 0 and "verified" in printed


def test_texts_name_the_command_as_it_was_called(monkeypatch):
    text = "python train.py; evaluate.py --task=knn; `python -m export.encoder`; runs/train.py; tfrecords.build_summary"
    assert errors.as_called(text) == text
    monkeypatch.setattr(errors, "_commands", {})
    main.call_subcommands()
    assert errors.as_called(text) == (
        "keras-simsiam train; keras-simsiam evaluate --task=knn; `keras-simsiam export`; runs/train.py; "
        "tfrecords.build_summary"
    )
