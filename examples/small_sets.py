"""Two sets of real frames as folders that tfrecords.build takes: train, val and test apart in time (docs/small.md).

python -m examples.small_sets --letters=asl_fingerspelling_a --scenes=nyuv2_scenes --output=sets

Images become links. Consecutive frames look alike, so a random split would find each test frame's neighbour in train.
"""

from keras_simsiam.core.command import run_command

import json
import shutil
from pathlib import Path

import cv2
from absl import flags

from keras_simsiam.core.errors import UserError

FOCAL = 525.0  # pixels: a Kinect's at 640×480, of which the letters are crops
AT_LEAST = 15  # frames that a scene type needs in the official training and in the test split


def letters(pack, output):
    """The hand shapes of one signer: a letter is one recording, of which the first 60 % are train, the next 15 % val.

    Args:
        pack: a folder with `<letter>/NNNN_rgb.jpg` and `<letter>/NNNN_depth.png`.
        output: a folder; receives `<split>/<letter>/NNNN/rgb.jpg`, `depth.png` and the crop's `camera.json`.
    """
    for letter in sorted(path for path in pack.iterdir() if path.is_dir()):
        names = _names(letter)
        for place, name in enumerate(names):
            split = "train" if place < 0.6 * len(names) else "val" if place < 0.75 * len(names) else "test"
            folder = output / split / letter.name / name
            for kind in ("rgb.jpg", "depth.png"):
                _link(folder / kind, letter / f"{name}_{kind}")
            height, width = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED).shape
            camera = {"fx": FOCAL, "fy": FOCAL, "width": width, "height": height, "depth_units_per_metre": 1000}
            # where the crop was in its frame is not known
            camera |= {"cx": (width - 1) / 2, "cy": (height - 1) / 2}
            (folder / "camera.json").write_text(json.dumps(camera))


def scenes(pack, output):
    """NYU Depth v2's scene types, the official split; the last fifth of each type's training frames is val.

    Args:
        pack: a folder with camera.json and `<type>/<train|test>/NNNN_rgb.jpg` and `NNNN_depth.png`; of frames without a
            type too, by any name.
        output: a folder; receives camera.json and `<split>/<type>/NNNN_rgb.jpg` and `NNNN_depth.png` of the types with
            enough frames, and `pretraining/train/`, the same of all training frames but those in val.
    """
    for kind in sorted(path for path in pack.iterdir() if path.is_dir()):
        train, test = (_names(kind / split) for split in ("train", "test"))
        enough = min(len(train), len(test)) >= AT_LEAST
        cut = round(0.8 * len(train)) if enough else len(train)
        splits = {"pretraining/train": ("train", train[:cut])}
        if enough:
            splits |= {"train": ("train", train[:cut]), "val": ("train", train[cut:]), "test": ("test", test)}
        for split, (source, names) in splits.items():
            for name in names:
                for image in (f"{name}_rgb.jpg", f"{name}_depth.png"):
                    _link(output / split / kind.name / image, kind / source / image)
    for folder in (output, output / "pretraining"):
        shutil.copy(pack / "camera.json", folder / "camera.json")


def main():
    found = {name: flags.FLAGS[name].value for name in ("letters", "scenes")}
    if not any(found.values()):
        raise UserError("nothing to do: give `--letters`, `--scenes` or both")
    for name, pack in found.items():
        if pack:
            if not any(Path(pack).glob("*/**/*_rgb.jpg")):
                raise UserError(f"`{name}={pack}`: no *_rgb.jpg in its folders")
            {"letters": letters, "scenes": scenes}[name](Path(pack), Path(flags.FLAGS.output) / name)


def _names(folder):
    """The numbers of a folder's frames, in order."""
    return sorted(path.name.removesuffix("_rgb.jpg") for path in folder.glob("*_rgb.jpg"))


def _link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target.resolve())


if __name__ == "__main__":
    flags.DEFINE_string("letters", "", "Folder of ASL letters: <letter>/NNNN_rgb.jpg, NNNN_depth.png.")
    flags.DEFINE_string("scenes", "", "Folder of NYU scenes: <type>/<train|test>/NNNN_rgb.jpg, NNNN_depth.png.")
    flags.DEFINE_string("output", "sets", "Receives letters/ and scenes/.")
    run_command(main)
