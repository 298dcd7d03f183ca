"""Fingerprints of code, for the keys of caches: they change with the source that a cached result was computed by."""

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("keras_simsiam", "tfrecords")


@functools.cache
def of(*modules: str) -> str:
    """The SHA-256 of the source of modules, and of all that they import of this repository's packages, directly or not.

    Imports are read from the source, those inside functions too. On the way to a module the __init__.py of its packages do not
    count: they hold docstrings, or gather names for those who import the package itself. Those of the outermost packages never
    do, as they gather everything.

    Args:
        modules: full names, such as keras_simsiam.depth.hha.

    Returns:
        Hexadecimal digits.

    Raises:
        FileNotFoundError: no such module exists.
    """
    digest = hashlib.sha256()
    for name, source in sorted(_reached(modules).items()):
        digest.update(f"{name} {len(source)} ".encode() + source)
    return digest.hexdigest()


def _reached(modules):
    """The sources, bytes, of modules and of what they import, by the modules' names."""
    sources, waiting = {}, list(modules)
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = _file(name).read_bytes()
            waiting += _imports(name, ast.parse(sources[name]))
    return sources


def _imports(name, tree):
    """The modules of _PACKAGES that a module imports, whole or a name of them."""
    package = name if _file(name).name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            inner = [f"{origin}.{alias.name}" for alias in node.names]
            names = [each if _file(each).exists() else origin for each in inner]
        else:
            continue
        yield from (each for each in names if each.partition(".")[0] in _PACKAGES and "." in each)


def _file(name):
    path = _ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
