"""Which versions of Python and of packages go together: two stacks (docs/stacks.md), and what to say of any other mixture."""

from __future__ import annotations  # what is too old for this project has to get as far as saying so

import importlib.metadata
import itertools
import os
import sys

_PYTHONS = ((3, 11), (3, 12), (3, 13))
_INSTALL = "pip install -r requirements.txt"


def problem() -> str | None:
    """What is wrong with the versions that are installed, in one line with the remedy; None where they go together."""
    python = sys.version_info[:2]
    if python not in _PYTHONS:
        return (
            f"Python {python[0]}.{python[1]} has no TensorFlow that this project runs on: use Python 3.11, 3.12 or 3.13"
        )
    tensorflow = _version("tensorflow")
    if tensorflow is None:
        return f"tensorflow is not installed: {_INSTALL}"
    if _numbers(tensorflow)[:2] < (2, 16):
        for package, below, pin in (("keras", 3, "2.15.0"), ("numpy", 2, "1.26.4")):
            installed = _version(package)
            if installed and _numbers(installed) >= (below,):
                return (
                    f"{package} {installed} does not go with tensorflow {tensorflow}: "
                    f"pip install {package}=={pin}, or {_INSTALL}"
                )
        return None
    keras = _version("keras")
    if keras is None or _numbers(keras) < (3,):
        return f"keras {keras or '(not installed)'} does not go with tensorflow {tensorflow}: {_INSTALL}"
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        return "TF_USE_LEGACY_KERAS asks for Keras 2, which does not go with tensorflow 2.16 and newer: unset it"
    return None


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version):
    """The leading numbers of a version: (2, 15, 1) of 2.15.1, (2, 0) of 2.0.0rc1."""
    return tuple(map(int, itertools.takewhile(str.isdigit, version.split("."))))
