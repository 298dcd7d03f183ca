"""Folders of frames whose splits lie apart in time."""

import json

import cv2
import numpy as np

from examples import small_sets


def _frames(folder, first, count):
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        cv2.imwrite(str(folder / f"{number:04d}_rgb.jpg"), np.zeros([8, 6, 3], np.uint8))
        cv2.imwrite(str(folder / f"{number:04d}_depth.png"), np.full([8, 6], 700, np.uint16))


def _names(folder, pattern):
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))


def test_a_letter_is_cut_in_time(tmp_path):
    _frames(tmp_path / "pack" / "a", 5, 20)
    small_sets.letters(tmp_path / "pack", tmp_path / "letters")
    found = {split: _names(tmp_path / "letters" / split / "a", "*") for split in ("train", "val", "test")}
    expected = [f"{number:04d}" for number in range(5, 25)]
    assert (found["train"], found["val"], found["test"]) == (expected[:12], expected[12:15], expected[15:])
    frame = tmp_path / "letters" / "val" / "a" / "0017"
    assert cv2.imread(str(frame / "depth.png"), cv2.IMREAD_UNCHANGED)[0, 0] == 700 and (frame / "rgb.jpg").is_symlink()
    camera = json.loads((frame / "camera.json").read_text())
    assert (camera["cx"], camera["cy"], camera["width"], camera["height"]) == (2.5, 3.5, 6, 8)


def test_scenes_keep_the_official_test_and_leave_out_rare_types(tmp_path):
    pack = tmp_path / "pack"
    for kind, train, test in (("kitchen", 20, 15), ("office", 30, 14), ("unlabelled", 3, 0)):
        _frames(pack / kind / "train", 0, train)
        _frames(pack / kind / "test", 100, test)
    (pack / "camera.json").write_text("{}")
    for _ in range(2):  # a second call changes nothing
        small_sets.scenes(pack, tmp_path / "scenes")
        for split, count in (("train", 16), ("val", 4), ("test", 15)):
            assert len(_names(tmp_path / "scenes" / split, "*/*_depth.png")) == count
    assert _names(tmp_path / "scenes" / "val", "*/*_rgb.jpg")[0] == "kitchen/0016_rgb.jpg"
    assert sorted(path.name for path in (tmp_path / "scenes" / "train").iterdir()) == ["kitchen"]
    assert len(_names(tmp_path / "scenes" / "pretraining" / "train", "*/*_rgb.jpg")) == 16 + 30 + 3
