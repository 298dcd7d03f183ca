"""The command `keras-simsiam`: the commands of the project under one name, outside its checkout too."""

import difflib
import importlib.util
import sys
import types
from pathlib import Path

import keras_simsiam
from keras_simsiam.core import errors

PROGRAM = "keras-simsiam"
# The module that each subcommand runs, as `python -m` would, and what it does.
SUBCOMMANDS = {
    "build": (
        "tfrecords.build",
        "build a data set: frames of an RGB-D camera, or of a published set, to TFRecord shards",
    ),
    "inspect": ("tfrecords.show", "print what a data set holds, verify every record, draw samples"),
    "doctor": ("keras_simsiam.commands.doctor", "look for what spoils training: units, alignment, gravity, leaks"),
    "train": ("keras_simsiam.commands.train", "train an encoder without labels, or go on where a run stopped"),
    "evaluate": ("keras_simsiam.commands.evaluate", "evaluate an encoder: kNN, linear probes, few labels and more"),
    "embed": ("keras_simsiam.commands.embed", "write the features of a data set, or of a folder of frames, to a file"),
    "export": ("export.encoder", "write an encoder as a SavedModel for TensorFlow Serving"),
    "client": ("export.client", "ask a server for the embeddings of frames"),
    "import-torch": ("export.import_torch", "make a run directory of a ResNet that was trained in PyTorch"),
    "depth2hha": ("keras_simsiam.commands.depth2hha", "convert depth images to HHA images"),
    "depth-completion": ("keras_simsiam.commands.depth_completion", "train a completion of depth, which fills holes"),
    "pseudo-depth": ("keras_simsiam.commands.pseudo_depth", "predict depth for a data set of colour alone"),
    "report": ("keras_simsiam.commands.report", "put all runs and evaluations of a folder on one HTML page"),
}
# Other names that texts use for them in a checkout.
_IN_CHECKOUT = {
    "train.py": "train",
    "evaluate.py": "evaluate",
    "tfrecords.inspect": "inspect",
    "tools.doctor": "doctor",
    "tools.depth2hha": "depth2hha",
    "tools.depth_completion": "depth-completion",
    "tools.pseudo_depth": "pseudo-depth",
    "experiments.report": "report",
}
_HELP = ("--help", "-help", "-h")


def main() -> None:
    """The command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in _HELP:
        print(overview())
    elif arguments[0] == "--version":
        print(f"{PROGRAM} {keras_simsiam.__version__}")
    elif arguments[0] not in SUBCOMMANDS:
        near = difflib.get_close_matches(arguments[0], SUBCOMMANDS)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(SUBCOMMANDS)}"
        sys.exit(f"error: {PROGRAM} has no '{arguments[0]}': {hint}")
    elif set(arguments[1:]) & set(_HELP):
        print(help_file(arguments[0]).read_text(encoding="utf-8"), end="")
    else:
        run(arguments[0], arguments[1:])


def overview() -> str:
    """The subcommands, a line each."""
    width = max(map(len, SUBCOMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, (_, text) in SUBCOMMANDS.items()]
    head = "Self-supervised learning on RGB-D images. A subcommand and its flags:"
    return "\n".join(
        [head, "", *lines, "", f"{PROGRAM} train --help lists the flags of train; --version tells the version."]
    )


def help_file(subcommand: str) -> Path:
    """What --help prints of a subcommand, written by docs/write_help.py: to ask its flags takes TensorFlow's seconds."""
    return Path(__file__).parent / "help" / f"{subcommand}.txt"


def call_subcommands() -> None:
    """From now on texts call the commands as subcommands."""
    modules = {module: name for name, (module, _) in SUBCOMMANDS.items()} | _IN_CHECKOUT
    errors.call_commands({called: f"{PROGRAM} {name}" for called, name in modules.items()})


def run(subcommand: str, arguments: list[str]) -> None:
    """Runs a subcommand in this process, its module as `__main__`.

    Args:
        subcommand: a name of SUBCOMMANDS.
        arguments: its flags.
    """
    call_subcommands()
    name, _ = SUBCOMMANDS[subcommand]
    spec = importlib.util.find_spec(name)
    module = types.ModuleType("__main__")
    module.__file__, module.__spec__ = spec.origin, spec
    # By runpy, its flags would stand under the path of its file.
    sys.argv = [f"{PROGRAM} {subcommand}", *arguments]
    sys.modules["__main__"] = module
    try:
        exec(spec.loader.get_code(name), vars(module))
    except KeyboardInterrupt:  # before the command itself begins, while TensorFlow loads
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
