"""The TUM RGB-D benchmark (Sturm et al., IROS 2012): folders with rgb.txt and depth.txt."""

import bisect
import os
import re

from keras_simsiam.core.errors import UserError
from tfrecords import camera_file, images
from tfrecords.sources import Plan, choose, recorded_frames, tum_poses

_LISTS = ("rgb.txt", "depth.txt")
_UNITS_PER_METRE = 5000.0
_MAX_DIFFERENCE = 0.02  # seconds

# fx, fy, cx, cy of the colour cameras as the benchmark's page gives them (ROS calibration: zero-based pixel centres).
_CAMERAS = {
    "1": (517.3, 516.5, 318.6, 255.3),
    "2": (520.9, 521.0, 325.1, 249.7),
    "3": (535.4, 539.2, 320.1, 247.6),
}
_FREIBURG = re.compile(r"(?<![a-z])(?:freiburg|fr)([123])(?!\d)", re.IGNORECASE)


def plan(input: str, split: str = "all", *, every: int = 1, val_fraction: float = 0.0, seed: int = 0) -> Plan:
    """Plan one or several sequences: colour and depth paired by their time, in the order of time.

    The camera is that of the camera.json in the sequence's folder or up to two folders above; without one, that of
    freiburg1, 2 or 3, by the folder's name. Depth is in 1/5000 m unless the camera.json says otherwise. Gravity comes
    from the sequence's groundtruth.txt (`tum_poses`), unknown where that has no pose within 0.02 s or does not exist.

    Args:
        input: a sequence's folder, or a folder that holds some, at any depth.
        split: `all`: everything is for training, but for val_fraction.
        every: keeps the 1st, (every + 1)st, ... pair of each sequence.
        val_fraction: of each sequence, the last frames, that become `val`, in [0, 1).
        seed: of the order of the records.

    Raises:
        UserError: no sequence below `input`, a list that does not parse, no pair within 0.02 s, or an unknown camera.
    """
    choose("split", split, ("all",))
    sequences, unpaired = {}, 0
    for folder, name, _, files in recorded_frames.folders(input):
        lists = [name for name in _LISTS if name in files]
        if len(lists) == 1:
            raise UserError(f"{folder} has only {lists[0]}: a sequence needs rgb.txt and depth.txt, fetch it again")
        if lists:
            colors, depths = (_read_list(os.path.join(folder, name)) for name in lists)
            pairs = associate(list(colors), list(depths))
            unpaired += len(colors) - len(pairs)
            sequences[name] = _references(folder, name, len(sequences), [(a, colors[a], depths[b]) for a, b in pairs])
    if not any(sequences.values()):
        content = (
            "only colour and depth more than 0.02 s apart" if sequences else "no folder with rgb.txt and depth.txt"
        )
        raise UserError(f"`input={input}` holds {content}: give a TUM sequence's folder, or one that holds some")
    return recorded_frames.plan(
        sequences,
        every,
        val_fraction,
        gravity=_describe_gravity(sequences),
        excluded={"colour images without depth within 0.02 s": unpaired} if unpaired else {},
    )


def associate(first: list[float], second: list[float]) -> list[tuple[float, float]]:
    """Pair two lists of times as the benchmark's associate.py: the nearest first, each time at most once.

    Args:
        first: seconds, distinct.
        second: seconds, distinct.

    Returns:
        The pairs less than 0.02 s apart, sorted.
    """
    ordered = sorted(second)
    candidates = []
    for a in first:
        near = bisect.bisect_left(ordered, a - _MAX_DIFFERENCE), bisect.bisect_right(ordered, a + _MAX_DIFFERENCE)
        candidates += [(abs(a - b), a, b) for b in ordered[slice(*near)] if abs(a - b) < _MAX_DIFFERENCE]
    pairs, used = {}, set()
    for _, a, b in sorted(candidates):
        if a not in pairs and b not in used:
            pairs[a] = b
            used.add(b)
    return sorted(pairs.items())


def _read_list(path):
    """The file's lines "timestamp filename" as a dict; those that begin with # are comments."""
    entries = {}
    for line in images.read_text(path).splitlines():
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        try:
            entries[float(fields[0])] = fields[1]
        except (ValueError, IndexError):
            raise UserError(f"{path}: '{line}' is not 'timestamp filename': fetch the sequence again") from None
    return entries


def _describe_gravity(sequences):
    known = [any(reference.gravity) for references in sequences.values() for reference in references]
    return {"mode": "groundtruth" if any(known) else "unknown", "unknown": known.count(False)}


def _references(folder, name, number, pairs):
    camera = _camera(folder)
    gravities = tum_poses.gravities(os.path.join(folder, "groundtruth.txt"), [time for time, _, _ in pairs])
    return [
        recorded_frames.Reference(
            name=f"{name}/{time:.6f}",
            color_path=os.path.join(folder, color),
            depth_path=os.path.join(folder, depth),
            camera=camera,
            units_per_metre=camera.units_per_metre or _UNITS_PER_METRE,
            recording=number,
            gravity=gravity,
        )
        for (time, color, depth), gravity in zip(pairs, gravities, strict=True)
    ]


def _camera(folder):
    path = camera_file.nearest(folder)
    if path is not None:
        return camera_file.read(path)
    match = _FREIBURG.search(os.path.basename(os.path.abspath(folder)))
    if not match:
        raise UserError(
            f"{folder} names none of the cameras freiburg1, freiburg2, freiburg3: put a camera.json (fx, fy, cx, cy) there"
        )
    return camera_file.Camera(_CAMERAS[match[1]], None, None, f"freiburg{match[1]}")
