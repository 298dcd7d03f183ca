"""Recipes by their names: `--recipe=small` stands for the flags in small.flags, found in the package or in the checkout."""

import difflib
from pathlib import Path

from keras_simsiam.core.errors import UserError

_PACKAGE = Path(__file__).parents[1]
# As a package's data, or at the top of the checkout, where rgbd.flags lies next to the folder of the others.
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes", _PACKAGE.parent)
_FLAG, _INCLUDE, _ENDING = "--recipe", "--flagfile=", ".flags"


def names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*" + _ENDING)})


def expand(arguments: list[str]) -> list[str]:
    """A command line with each --recipe=NAME, or --recipe NAME, replaced by the flags of that recipe.

    Args:
        arguments: without the command itself.

    Raises:
        UserError: an unknown recipe.
    """
    expanded, remaining = [], iter(arguments)
    for argument in remaining:
        name, is_given, value = argument.partition("=")
        if argument == "--":
            return [*expanded, argument, *remaining]
        if name not in (_FLAG, _FLAG[1:]):  # absl takes one hyphen too
            expanded.append(argument)
        else:
            expanded += flags(value if is_given else next(remaining, ""))
    return expanded


def flags(name: str) -> list[str]:
    """The flags of a recipe, those of recipes that it includes in their place.

    Args:
        name: of the recipe, such as rgbd.

    Raises:
        UserError: an unknown recipe.
    """
    if name not in names():
        near = [known for known in names() if name and name in known]
        near = near or difflib.get_close_matches(name, names(), cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(names())}"
        raise UserError(f"--recipe={name}: there is no such recipe; {hint}")
    path = next(path for folder in _folders() if (path := folder / (name + _ENDING)).is_file())
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    given = [line for line in lines if line and not line.startswith("#")]
    # an included file is a recipe too, whatever the current folder
    inner = (flags(Path(line.removeprefix(_INCLUDE)).stem) if line.startswith(_INCLUDE) else [line] for line in given)
    return [line for several in inner for line in several]


def _folders():
    """The folders to look in: the package's own where it was installed, else the checkout's."""
    return _FOLDERS[:1] if _FOLDERS[0].is_dir() else _FOLDERS[1:]
