"""What every command does first and last. To be imported before TensorFlow, which it quiets; ruff sorts it to the top."""

import os
import sys

from keras_simsiam.core import versions

# Before the packages that another version of Python, or of them, does not find.
if wrong := versions.problem():
    sys.exit(f"error: {wrong}")

# Before TensorFlow loads: its start-up lines bury ours. At 2, it still reports CUDA libraries that register twice.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import importlib.abc
import importlib.util
import tempfile
from collections.abc import Callable

from absl import app, flags, logging

from keras_simsiam.core.errors import UserError, speak_of_flags


class _QuietTensorFlow(importlib.abc.MetaPathFinder):
    """Imports TensorFlow without the lines that 2.21 writes as it loads, before it knows of a log level.

    They come from C++, past sys.stderr. Where the import fails, they are written after all.
    """

    def find_spec(self, name, path, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _quietly(load, module)
        return spec


def _quietly(load, module):
    with tempfile.TemporaryFile() as written, contextlib.ExitStack() as restored:
        stderr = os.dup(2)
        restored.callback(os.close, stderr)
        restored.callback(os.dup2, stderr, 2)
        os.dup2(written.fileno(), 2)
        try:
            load(module)
        except Exception:
            written.seek(0)
            os.write(stderr, written.read())
            raise


sys.meta_path.insert(0, _QuietTensorFlow())


def run_command(
    main: Callable,
    define_flags: Callable[[], None] | None = None,
    *,
    takes_arguments: bool = False,
    passes_on_flags: bool = False,
    expand: Callable[[list[str]], list[str]] = list,
) -> None:
    """Runs a command and ends the process: `if __name__ == "__main__": run_command(main)`.

    --help lists the flags of the module of `main`, wherever that is called from.

    A UserError, an interrupt, or a flag that does not parse ends it with one line and status 1, no traceback.

    Args:
        main: function without arguments; of the list of what on the command line is no flag, with `takes_arguments`.
        define_flags: function that defines the flags, where another module is to be able to import the command's.
        takes_arguments: whether it takes anything but flags; if not, that is refused.
        passes_on_flags: whether it takes flags that it does not define, as arguments.
        expand: function from the command line to the one that it stands for, without the command itself.
    """
    if define_flags:
        define_flags()
    for flag in flags.FLAGS.get_key_flags_for_module(main.__module__):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)

    def ended_in_a_line(argv):
        if not flags.FLAGS[
            "verbosity"
        ].present:  # else absl makes it that of notes, which TensorFlow takes of each checkpoint
            logging.set_verbosity(logging.WARNING)
        try:
            if takes_arguments:
                main(argv[1:])
            elif argv[1:]:
                raise UserError(f"'{argv[1]}' is not a flag: write --name=value, and patterns in quotes")
            else:
                main()
        except UserError as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            sys.exit("interrupted")

    def parse(argv):
        try:
            return flags.FLAGS([argv[0], *expand(argv[1:])], known_only=passes_on_flags)
        except UserError as error:
            sys.exit(f"error: {error}")
        except flags.Error as error:
            sys.exit("error: " + str(error).removeprefix("ERROR:: ").replace("\n", "; "))

    speak_of_flags(flags.FLAGS)
    app.run(ended_in_a_line, flags_parser=parse)
