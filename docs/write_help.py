"""Writes what `keras-simsiam NAME --help` prints: python docs/write_help.py writes keras_simsiam/commands/help/NAME.txt.

The package holds these texts because the flags themselves are known only once TensorFlow is loaded, which takes seconds.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from keras_simsiam.core.command import run_command  # noqa: F401

from keras_simsiam.commands import main
from keras_simsiam.core import errors


def texts():
    """The help of each subcommand by its name, as its flags give it now."""
    # TensorFlow is loaded once, here, and each command runs in a fork: flags cannot be taken back.
    import keras_simsiam.evaluation.evaluate
    import keras_simsiam.training.run  # noqa: F401

    return {name: _text(name) for name in main.SUBCOMMANDS}


def _text(name):
    with tempfile.TemporaryFile("w+") as file:
        child = os.fork()
        if not child:
            os.dup2(file.fileno(), sys.stdout.fileno())
            try:
                main.run(name, ["--help"])
            finally:  # absl ends --help with status 1
                sys.stdout.flush()
                os._exit(0)
        os.waitpid(child, 0)
        file.seek(0)
        main.call_subcommands()
        return errors.as_called(file.read())


if __name__ == "__main__":
    for name, text in texts().items():
        main.help_file(name).parent.mkdir(exist_ok=True)
        main.help_file(name).write_text(text, encoding="utf-8")
