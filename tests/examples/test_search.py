"""The search, with a model whose embedding is an image's mean colour, and mean depth where it sees depth."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from examples import search
from keras_simsiam.core.errors import UserError
from tfrecords.sources import folder

COLOURS = {
    "a_1_1": (250, 0, 0),
    "a_1_2": (240, 40, 0),
    "a_2_1": (150, 110, 0),
    "b_1_1": (0, 250, 0),
    "b_1_2": (0, 0, 250),
}


@pytest.fixture
def frames(tmp_path):
    """A folder of five frames; depth grows with the frame."""
    for part in ("rgb", "depth"):
        (tmp_path / "frames" / part).mkdir(parents=True)
    for place, (name, colour) in enumerate(COLOURS.items()):
        image = np.full((12, 16, 3), colour[::-1], np.uint8)
        cv2.imwrite(str(tmp_path / "frames" / "rgb" / f"{name}.png"), image)
        depth = np.full((12, 16), 1000 * (place + 1), np.uint16)
        cv2.imwrite(str(tmp_path / "frames" / "depth" / f"{name}.png"), depth)
    camera = {"fx": 20.0, "fy": 20.0, "cx": 7.5, "cy": 5.5, "width": 16, "height": 12, "depth_units_per_metre": 1000}
    (tmp_path / "frames" / "camera.json").write_text(json.dumps(camera))
    return str(tmp_path / "frames")


def saved(path, depth):
    """A SavedModel with the signature of export.encoder."""
    specs = {"image": tf.TensorSpec([None], tf.string)}
    if depth:
        specs |= {"depth": tf.TensorSpec([None], tf.string), "units_per_metre": tf.TensorSpec([None], tf.float32)}
        specs |= {"intrinsics": tf.TensorSpec([None, 4]), "gravity": tf.TensorSpec([None, 3])}

    @tf.function
    def embed(**files):
        image = tf.io.decode_image(files["image"][0], 3, expand_animations=False)
        embedding = tf.reduce_mean(tf.cast(image, tf.float32), [0, 1])
        if depth:
            metres = tf.reduce_mean(tf.cast(tf.io.decode_png(files["depth"][0], 1, tf.uint16), tf.float32))
            camera = tf.concat([files["intrinsics"][0], files["gravity"][0]], 0)
            embedding = tf.concat([[metres / files["units_per_metre"][0]], camera], 0)
        found = {"embedding": embedding[tf.newaxis]}
        return found if depth else found | {"whitened": found["embedding"] - 100}

    tf.saved_model.save(tf.Module(), str(path), {"serving_default": embed.get_concrete_function(**specs)})
    return str(path)


def names(index, found):
    return [str(index.names[place]) for place in found[0]]


def test_nearest_first_and_itself_left_out(frames, tmp_path):
    index = search.build(saved(tmp_path / "model", depth=False), folder.plan(frames, depth=""))
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1, rtol=1e-6)
    found = search.neighbours(index, "a_1_1", 3)
    assert names(index, found) == ["a_1_2", "a_2_1", "b_1_1"]
    colours = np.array([COLOURS[name] for name in ("a_1_1", *names(index, found))], float)
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    np.testing.assert_allclose(found[1], colours[1:] @ colours[0], atol=1e-6)
    assert names(index, search.neighbours(index, "a_1_1", 9, among="[ab]_?_1")) == ["a_2_1", "b_1_1"]
    whitened = np.array([COLOURS[name] for name in COLOURS], float) - 100
    whitened /= np.linalg.norm(whitened, axis=1, keepdims=True)
    np.testing.assert_allclose(
        search.neighbours(index, "b_1_1", 1, "a_2_1", "whitened")[1], whitened[3] @ whitened[2:3].T, atol=1e-6
    )
    with pytest.raises(UserError, match=r"--among=c\* matches no frame"):
        search.neighbours(index, "a_1_1", 3, among="c*")
    with pytest.raises(UserError, match="--query=c: no frame of that name; they are called a_1_1, a_1_2, a_2_1, …"):
        search.neighbours(index, "c", 3)


def test_a_model_of_depth_gets_the_frames_depth_and_camera(frames, tmp_path):
    model = saved(tmp_path / "model", depth=True)
    index = search.build(model, folder.plan(frames))
    expected = np.array([[place + 1, 20, 20, 7.5, 5.5, 0, 0, 0] for place in range(5)])
    np.testing.assert_allclose(index.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    with pytest.raises(UserError, match="--scaling=whitened: the model does not whiten"):
        search.neighbours(index, "a_1_1", 1, scaling="whitened")
    with pytest.raises(UserError, match="--depth is empty, but the model looks at depth"):
        search.build(model, folder.plan(frames, depth=""))
    with pytest.raises(UserError, match="is no SavedModel"):
        search.build(str(tmp_path), folder.plan(frames))


def test_an_index_is_kept_and_never_taken_for_another(frames, tmp_path, monkeypatch):
    model, path = saved(tmp_path / "model", depth=False), str(tmp_path / "index.npz")
    plan = folder.plan(frames, depth="")
    made = search.opened(path, model, plan)
    monkeypatch.setattr(search, "build", None)
    for one, other in zip(made, search.opened(path, model, plan), strict=True):
        np.testing.assert_array_equal(one, other)
    fewer = folder.plan(frames, rgb="rgb/a*", depth="")
    for wrong in ((path, str(tmp_path / "other"), plan), (path, model, fewer)):
        with pytest.raises(UserError, match="another model or other frames"):
            search.opened(*wrong)
    for damaged in (b"text", Path(path).read_bytes()[:-30], b""):
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with pytest.raises(UserError, match=r"damaged\.npz is no index"):
            search.opened(str(tmp_path / "damaged.npz"), model, plan)


def test_the_picture_has_a_row_a_query(frames, tmp_path):
    """A neighbour's colour stands where its picture is."""
    index = search.build(saved(tmp_path / "model", depth=False), folder.plan(frames, depth=""))
    found = {name: search.neighbours(index, name, 2) for name in ("a_1_1", "b_1_2")}
    search.draw(index, found, tmp_path / "picture.png")
    picture = cv2.imread(str(tmp_path / "picture.png"))[..., ::-1]
    height, width = picture.shape[0] // 2, picture.shape[1] // 3
    for row, (query, (nearest, _)) in enumerate(found.items()):
        for column, name in enumerate([query, *index.names[nearest]]):
            cell = picture[row * height : (row + 1) * height, column * width : (column + 1) * width]
            assert np.mean(np.all(cell == COLOURS[name], axis=-1)) > 0.3
