import json

import numpy as np
import pytest
import tensorflow as tf

from experiments import augmentation_samples, common, frame_grid, hha_gallery
from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import hha
from tfrecords import Dataset
from tfrecords.example import Frame
from tfrecords.writer import Writer


def test_evenly_spaced(data_dir):
    dataset = Dataset(data_dir)
    names = [sample["frame"].numpy().decode() for sample in dataset.samples("train")]
    found = [sample["frame"].numpy().decode() for sample in frame_grid.evenly(dataset, "train", 5)]
    assert found == names[4::9][:5] and len(found) == 5
    assert len(frame_grid.evenly(dataset, "train", 1000)) == len(names)
    with pytest.raises(UserError, match="no split 'val'"):
        frame_grid.evenly(dataset, "val", 5)


def test_the_frames_of_the_gallery_are_chosen_by_what_they_miss(tmp_path, capsys):
    random = np.random.default_rng(0)
    with Writer(str(tmp_path / "data")) as writer:
        for index in range(8):
            depth = np.full((20, 24, 1), 900, np.uint16)
            depth.reshape(-1)[: 60 * ((3 * index) % 8)] = (
                0  # frame 0 misses nothing, the frame of 7 · 60 of 480 the most
            )
            rgb = tf.io.encode_png(random.integers(0, 256, (20, 24, 3)).astype(np.uint8)).numpy()
            writer.add("train", Frame(f"f_{index}", rgb, tf.io.encode_png(depth).numpy(), (30.0, 30.0, 11.5, 9.5)))
        writer.commit({"classes": [], "instances": []})
    hha_gallery.main(common.Settings(str(tmp_path / "data"), str(tmp_path), "smoke"))
    shown = json.loads((tmp_path / "hha_gallery.json").read_text())["frames"]
    assert [round(4.8 * fact["missing"]) for fact in shown] == [180, 360, 420]
    assert [fact["median"] for fact in shown] == pytest.approx([0.9] * 3) and shown[0]["gravity"] == "estimated"
    assert (tmp_path / "hha_gallery.png").stat().st_size > 10_000


def test_pictures_of_the_gallery(make_sample):
    sample = make_sample()
    rows = hha_gallery.picture_rows(sample)
    assert [len(row) for row in rows] == [6] * 4 and rows[3][0] is None
    published = hha.encode(sample["depth"], sample["intrinsics"], sample["gravity"], encoding="paper").numpy() / 255
    holes = sample["depth"].numpy() == 0
    assert np.isnan(rows[1][0][1][holes]).all() and not np.isnan(rows[1][0][1][~holes]).any()
    for channel in range(3):
        none, neutral = rows[channel][1][1], rows[channel][2][1]
        np.testing.assert_array_equal(none[..., 0], published[..., channel])
        np.testing.assert_allclose(neutral[holes], 128 / 255)
        np.testing.assert_array_equal(neutral[~holes], none[~holes])
    np.testing.assert_array_equal(rows[3][1][1], published)


def test_refused_without_depth(tmp_path, monkeypatch):
    monkeypatch.setattr(hha_gallery, "Dataset", lambda path: Dataset(path, splits={}, has_depth=False))
    with pytest.raises(UserError, match="--data_dir=colours has no depth: give a data set with depth"):
        hha_gallery.main(common.Settings("colours", str(tmp_path)))


def test_pictures_of_the_transforms(make_sample):
    rows = augmentation_samples.picture_rows(make_sample(), tf.constant([0, 1]), True)
    again = augmentation_samples.picture_rows(make_sample(), tf.constant([0, 1]), True)
    titles = [[title for title, _ in row] for row in rows]
    assert (
        len(rows) == 2 and titles[0][:4] == ["frame", "crop", "crop", "flip"] and titles[1][-2:] == ["view 1", "view 2"]
    )
    for row, same in zip(rows, again, strict=True):
        for (title, image), (_, drawn_again) in zip(row, same, strict=True):
            image = np.asarray(image)
            assert image.shape == (40, 40, 3) and image.min() >= 0 and image.max() <= 1, title
            np.testing.assert_array_equal(image, drawn_again)
    np.testing.assert_array_equal(np.asarray(rows[0][3][1]), np.asarray(rows[0][0][1])[:, ::-1])
    assert len(augmentation_samples.picture_rows(make_sample(), tf.constant([0, 1]), False)) == 1
    other = augmentation_samples.picture_rows(make_sample(), tf.constant([0, 2]), True)
    assert np.any(np.asarray(other[0][1][1]) != np.asarray(rows[0][1][1]))
