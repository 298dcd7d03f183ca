"""What commands share, each in a separate process."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

COMMAND = """
from keras_simsiam.core.command import run_command

import os, sys
from absl import flags
from keras_simsiam.core.errors import UserError

def define_flags():
    flags.DEFINE_integer("number", 1, "A number.")

def main(*given):
    print(os.environ["TF_CPP_MIN_LOG_LEVEL"], "tensorflow" in sys.modules, flags.FLAGS.number, *given)
    if flags.FLAGS.number == 2:
        raise UserError("a line")
    if flags.FLAGS.number == 3:
        raise KeyboardInterrupt
    if flags.FLAGS.number == 4:
        raise ValueError

run_command(main, define_flags, OPTIONS)
"""


def _run(*arguments, options=""):
    command = [sys.executable, "-c", COMMAND.replace("OPTIONS", options), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={})
    return found.returncode, found.stdout.strip(), found.stderr.strip()


def test_tensorflow_is_quiet_and_not_loaded():
    assert _run() == (0, "3 False 1", "")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--number=2"], "error: a line"),
        (["--number=3"], "interrupted"),
        (["--number=many"], "error: flag --number=many: invalid literal for int() with base 10: 'many'"),
        (["--colour"], "error: Unknown command line flag 'colour'"),
        (["stray"], "error: 'stray' is not a flag: write --name=value, and patterns in quotes"),
    ],
)
def test_a_mistake_is_one_line(arguments, error):
    code, _, said = _run(*arguments)
    assert (code, said) == (1, error)


def test_another_error_keeps_its_traceback():
    code, _, said = _run("--number=4")
    assert code == 1 and "Traceback" in said and said.endswith("ValueError")


def test_arguments_and_foreign_flags_where_they_are_taken():
    assert _run("a", "--number=5", "b", options="takes_arguments=True") == (0, "3 False 5 ['a', 'b']", "")
    code, printed, _ = _run("--runner=x", "--number=5", options="takes_arguments=True, passes_on_flags=True")
    assert (code, printed) == (0, "3 False 5 ['--runner=x']")
