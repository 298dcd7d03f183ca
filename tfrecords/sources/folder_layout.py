"""Finds colour images and the depth images that belong to them, by two patterns whose wildcards match the same."""

import glob
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from keras_simsiam.core.errors import UserError
from tfrecords import depth_files
from tfrecords.sources import natural

COLOR_SUFFIXES = (".png", ".jpg", ".jpeg")

# What the folder of a split is called.
_SPLITS = {
    "train": ("train", "training", "learn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval"),
}
_SPLIT_OF = {folder: split for split, folders in _SPLITS.items() for folder in folders}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the images of one frame are.

    Attributes:
        key: what the wildcards of both patterns match, folder by folder; its last part names the frame in its folder.
        color_path, depth_path: None where there is no such image.
        label: index of the class, -1 = unlabelled.
    """

    key: tuple[str, ...]
    color_path: str | None
    depth_path: str | None
    label: int = -1

    @property
    def name(self) -> str:
        """Unique in the data set."""
        return "/".join(self.key)


def scan(root: str, rgb: str, depth: str) -> list[Reference]:
    """Pair the images below `root`.

    In a pattern `*` matches within a name and `**/` any folders. One without an image's ending takes any: COLOR_SUFFIXES for
    colour, `tfrecords.depth_files.SUFFIXES` for depth.

    Args:
        root: a folder.
        rgb: the pattern of the colour images, relative to it.
        depth: that of the depth images; empty for colour only.

    Returns:
        A reference for each key, also where one of the two images is missing; sorted, with 2 before 10.

    Raises:
        UserError: `root` is no folder, a pattern matches nothing or two files of one key, or no two images share a key.
    """
    if not os.path.isdir(root):
        raise UserError(f"`input={root}` is not a folder: give the one that holds the images")
    colors = _match(root, "rgb", rgb, COLOR_SUFFIXES)
    depths = _match(root, "depth", depth, depth_files.SUFFIXES) if depth else {}
    if depth and not colors.keys() & depths.keys():
        first, second = min(colors.values()), min(depths.values())
        raise UserError(
            f"`rgb={rgb}` and `depth={depth}`: the wildcards never match the same (first {first} and {second}): "
            "the * must stand for what the names of a colour and a depth image share"
        )
    keys = sorted(colors.keys() | depths.keys(), key=lambda key: ([natural(part) for part in key], key))
    return [Reference(key, colors.get(key), depths.get(key)) for key in keys]


def split_of(folder: str) -> str | None:
    """The split whose frames a folder of this name holds: `train`, `val` or `test`; None where it names no split."""
    return _SPLIT_OF.get(folder.lower())


def sequences(references: Sequence[Reference]) -> list[list[Reference]]:
    """The references by folder (all of the key but its last part), in their order."""
    groups = defaultdict(list)
    for reference in references:
        groups[reference.key[:-1]].append(reference)
    return list(groups.values())


def _match(root, flag, pattern, suffixes):
    """Paths of the files that match, by what the wildcards match."""
    paths = {}
    any_suffix = os.path.splitext(pattern)[1].lower() not in suffixes
    regex = _regex(pattern, suffixes if any_suffix else ())
    for name in sorted(glob.glob(_glob(pattern) + ".*" * any_suffix, root_dir=root, recursive=True)):
        match = regex.fullmatch(name)
        if not match:
            continue
        path, key = os.path.join(root, name), tuple(filter(None, "/".join(match.groups()).split("/")))
        if paths.setdefault(key, path) != path:
            raise UserError(f"`{flag}={pattern}`: {paths[key]} and {path} are one frame: narrow it to one of them")
    if not paths:
        empty = ", or `depth=` for colour only" if flag == "depth" else ""
        raise UserError(
            f"`{flag}={pattern}` matches no image below {root}: give a pattern such as '*_{flag}.png'{empty}"
        )
    return paths


def _tokens(pattern):
    """Text and wildcards in turn."""
    return re.split(r"(\*\*/|\*)", pattern)


def _glob(pattern):
    return "".join(token if token in ("**/", "*") else glob.escape(token) for token in _tokens(pattern))


def _regex(pattern, suffixes):
    groups = {"**/": "((?:[^/]+/)*)", "*": "([^/]+)"}
    ending = f"(?i:{'|'.join(map(re.escape, suffixes))})"
    return re.compile("".join(groups.get(token) or re.escape(token) for token in _tokens(pattern)) + ending)
