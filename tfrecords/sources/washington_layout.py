"""The Washington RGB-D Object Dataset's files: <root>/<category>/<instance>/<instance>_<video>_<frame>_..."""

import os
import re
from collections import defaultdict
from dataclasses import dataclass

from keras_simsiam.core.errors import UserError
from tfrecords import images
from tfrecords.sources import natural

# Kinect, 640×480, one-based centre (320, 240), here zero-based. Lai et al., ICRA 2011, and the data set's own tools.
_FOCAL_LENGTH = 570.3
_CENTRE = (319.0, 239.0)

_CROPPED = re.compile(r"(.+)_(\d+)_(\d+)_crop\.png")
_FULL = re.compile(r"(.+)_(\d+)_(\d+)\.png")


@dataclass(frozen=True)
class Reference:
    """Where the files of one frame are: `stem` is their common path, up to what the kind of file adds to it."""

    category: str
    instance: str
    video: int
    number: int
    stem: str
    cropped: bool

    @property
    def sequence(self) -> tuple[str, int]:
        """The instance and the video: one turn of one object."""
        return self.instance, self.video

    @property
    def name(self) -> str:
        """Unique in the data set."""
        return os.path.basename(self.stem)

    @property
    def color_path(self) -> str:
        return f"{self.stem}_crop.png" if self.cropped else f"{self.stem}.png"

    @property
    def depth_path(self) -> str:
        return f"{self.stem}_depthcrop.png" if self.cropped else f"{self.stem}_depth.png"

    @property
    def mask_path(self) -> str:
        return f"{self.stem}_maskcrop.png" if self.cropped else f"{self.stem}_mask.png"

    def has_mask(self) -> bool:
        """Whether there is a mask of the object: always for a crop, for some of the full frames."""
        return os.path.exists(self.mask_path)

    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in pixels of this frame, zero-based pixel centres.

        A crop's follow its `_loc.txt`, which holds its one-based top-left corner as "x,y".

        Raises:
            UserError: the `_loc.txt` of a crop is missing or is not two integers.
        """
        x, y = _location(f"{self.stem}_loc.txt") if self.cropped else (1, 1)
        return _FOCAL_LENGTH, _FOCAL_LENGTH, _CENTRE[0] - (x - 1), _CENTRE[1] - (y - 1)


def scan(root: str, every: int) -> list[Reference]:
    """Find the frames: cropped ones in a folder that has any, else full ones.

    Args:
        root: the folder of the categories.
        every: keeps the 1st, (every + 1)st, ... frame of each (instance, video) in the order of frame numbers.

    Returns:
        The references, sorted by category, instance, video and frame number.

    Raises:
        UserError: `root` does not exist or holds no frame.
    """
    if not os.path.isdir(root):
        raise UserError(f"`input={root}` is not a folder: give the one that holds the categories' folders")
    references = []
    for category in sorted(_folders(root)):
        for instance in sorted(_folders(os.path.join(root, category)), key=natural):
            sequences = defaultdict(list)
            for reference in _frames(os.path.join(root, category, instance), category, instance):
                sequences[reference.video].append(reference)
            for video in sorted(sequences):
                references += sorted(sequences[video], key=lambda reference: reference.number)[::every]
    if not references:
        raise UserError(
            f"`input={root}` holds no <category>/<instance>/<instance>_<video>_<frame>_crop.png "
            "(nor _<frame>.png): give the folder of the categories"
        )
    return references


def _folders(path):
    return [entry.name for entry in os.scandir(path) if entry.is_dir()]


def _frames(folder, category, instance):
    names = set(os.listdir(folder))
    cropped = any(_CROPPED.fullmatch(name) for name in names)
    depth_ending, color_ending = ("_depthcrop.png", "_crop.png") if cropped else ("_depth.png", ".png")
    # A depth image without its colour image is a frame too: left to the colour images, it would go missing unnoticed.
    names |= {name.removesuffix(depth_ending) + color_ending for name in names if name.endswith(depth_ending)}
    for match in filter(None, map((_CROPPED if cropped else _FULL).fullmatch, sorted(names))):
        prefix, video, number = match.groups()
        stem = os.path.join(folder, f"{prefix}_{video}_{number}")
        yield Reference(category, instance, int(video), int(number), stem, cropped)


def _location(path):
    text = images.read_text(path)
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", text)
    if not match:
        raise UserError(f"{path} does not hold the crop's corner as x,y: fetch it again, or remove that frame's files")
    return int(match[1]), int(match[2])
