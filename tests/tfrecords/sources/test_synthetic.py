import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from tfrecords import example, planes
from tfrecords.sources import synthetic, synthetic_render, synthetic_sensor, synthetic_shapes


@pytest.fixture(scope="module")
def plan():
    return synthetic.plan(train_instances=2, test_instances=1, frames_per_instance=3, seed=5)


@pytest.fixture(scope="module")
def frames(plan):
    return {split: [plan.load(reference) for reference in references] for split, references in plan.splits.items()}


def _scene(solid, table=10.0):
    plain = synthetic_render.Texture("plain", np.ones((2, 3)), np.zeros((0, 3)), np.zeros(0))
    return synthetic_render.Scene(solid, 0.3, table, 50.0, (plain,) * 4, np.array([0.0, 1.0, 0.0]))


def test_counts_and_names(plan, frames):
    assert {split: len(references) for split, references in plan.splits.items()} == {"train": 48, "test": 24}
    names = [frame.name for split in frames.values() for frame in split]
    assert len(set(names)) == len(names)
    for frame in (frame for split in frames.values() for frame in split):
        assert frame.name.startswith(f"{plan.instances[frame.instance]}_")
        assert plan.instances[frame.instance].startswith(plan.classes[frame.label])
    assert sorted({frame.label for frame in frames["train"]}) == list(range(8))


def test_test_instances_are_others(frames):
    train, test = ({frame.instance for frame in frames[split]} for split in ("train", "test"))
    assert len(train) == 16 and len(test) == 8 and not train & test


def test_instance_split_tests_on_the_second_video():
    plan = synthetic.plan(split="instance", train_instances=1, frames_per_instance=12, val_fraction=0.25, seed=5)
    assert {split: len(references) for split, references in plan.splits.items()} == {"train": 48, "val": 16, "test": 32}
    assert plan.classes == plan.instances and len(plan.classes) == 8
    for split, references in plan.splits.items():
        frames = [plan.load(reference) for reference in references[:6]]
        assert {frame.name.split("_")[2] for frame in frames} == ({"2"} if split == "test" else {"1", "4"})
        assert all(frame.label == frame.instance for frame in frames)
    with pytest.raises(UserError, match="`frames_per_instance=2`"):
        synthetic.plan(split="instance", frames_per_instance=2)


def test_validation_takes_whole_instances():
    plan = synthetic.plan(train_instances=4, test_instances=1, frames_per_instance=1, val_fraction=0.25)
    assert {split: len(references) for split, references in plan.splits.items()} == {"train": 24, "val": 8, "test": 8}
    with pytest.raises(UserError, match="`train_instances`"):
        synthetic.plan(train_instances=1, val_fraction=0.8)


def test_same_seed_same_bytes_in_any_order(plan, frames):
    again = synthetic.plan(train_instances=2, test_instances=1, frames_per_instance=3, seed=5)
    assert again.load(again.splits["test"][-1]) == frames["test"][-1]
    assert again.load(again.splits["train"][7]) == frames["train"][7]
    other = synthetic.plan(train_instances=2, test_instances=1, frames_per_instance=3, seed=6)
    assert other.load(other.splits["train"][7]).rgb != frames["train"][7].rgb


def test_frames_are_like_washington_crops(frames):
    elevations = {1: 24, 2: 34, 4: 57}
    for frame in frames["train"]:
        sample = example.decode(tf.constant(example.encode(frame)))
        height, width = sample["depth"].shape
        assert sample["rgb"].shape == (height, width, 3)
        assert 12 <= height <= 140 and 12 <= width <= 140
        assert np.linalg.norm(frame.gravity) == pytest.approx(1)
        video = int(frame.name.split("_")[2])
        assert np.degrees(np.arctan2(frame.gravity[2], frame.gravity[1])) == pytest.approx(elevations[video], abs=3)
        missing = float(np.mean(sample["depth"] == 0))
        assert missing < 0.5
        # Nothing is behind the camera, nor behind the wall.
        assert 0.4 < np.median(sample["depth"]) < 2.5


def test_crops_are_tight():
    mask = np.zeros((40, 50), bool)
    mask[10:20, 15:30] = True
    crops = [synthetic._tight_crop(mask, np.random.default_rng(seed)) for seed in range(50)]
    edges = np.array([(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in crops])
    np.testing.assert_array_equal(edges.min(axis=0), [4, 20, 9, 30])
    np.testing.assert_array_equal(edges.max(axis=0), [10, 26, 15, 36])


def test_depth_agrees_with_gravity(frames):
    """The plane under the object, fitted to the noisy depth with the frame's intrinsics, is level."""
    angles = []
    for frame in frames["train"]:
        depth = cv2.imdecode(np.frombuffer(frame.depth, np.uint8), cv2.IMREAD_UNCHANGED) / 1000
        normal = planes.support_normal(depth, frame.intrinsics, depth > 0, np.array(frame.gravity))
        if normal is not None:
            angles.append(np.degrees(np.arccos(np.clip(normal @ np.array(frame.gravity), -1, 1))))
    assert len(angles) > 40
    assert np.median(angles) < 1.5


def test_rendered_depth_is_exact_on_table_and_sphere():
    def distance(points):
        return np.linalg.norm(points - [0, 0.05, 0], axis=1) - 0.05

    solid = synthetic_shapes.Solid(distance, 0.1, 0.05)
    axes = synthetic_render.camera_axes(np.radians(34))
    position = np.array([0, 0.05, 0]) - 0.9 * axes[2]
    intrinsics = (570.3, 570.3, 48.0, 40.0)
    image = synthetic_render.render(_scene(solid), position, axes=axes, intrinsics=intrinsics, size=(81, 97))
    assert image.depth[40, 48] == pytest.approx(0.9 - 0.05, abs=5e-4)
    y, x = np.mgrid[:81, :97]
    points = image.depth[..., None] * np.stack([(x - 48) / 570.3, (y - 40) / 570.3, np.ones(x.shape)], -1)
    on_sphere = np.linalg.norm(points - [0, 0, 0.9], axis=-1) < 0.0505
    assert on_sphere.sum() > 3000
    below_camera = points @ (axes @ [0, -1, 0])
    assert np.abs(below_camera[~on_sphere] - position[1]).max() < 1e-9


@pytest.mark.parametrize("name", sorted(synthetic_shapes.CLASSES))
def test_solids_stand_on_the_table_within_their_bounds(name):
    random = np.random.default_rng(1)
    for _ in range(5):
        solid = synthetic_shapes.draw(name, random)
        points = random.uniform([-0.15, -0.05, -0.15], [0.15, 0.25, 0.15], (20000, 3))
        inside = points[solid.distance(points) < 0]
        assert len(inside)
        assert inside[:, 1].min() > -1e-9
        assert inside[:, 1].max() <= solid.height + 1e-9
        assert np.hypot(inside[:, 0], inside[:, 2]).max() <= solid.radius + 1e-9
        # Sphere tracing needs distances that change no faster than the point moves.
        steps = random.normal(0, 0.01, points.shape)
        change = np.abs(solid.distance(points + steps) - solid.distance(points))
        assert (change <= np.linalg.norm(steps, axis=1) + 1e-9).all()


def test_sensor_noise_grows_with_the_square_of_depth():
    random = np.random.default_rng(0)
    spread = []
    for z in (1.0, 2.0):
        depth = synthetic_sensor.depth_image(
            np.full((200, 200), z), np.ones((200, 200)), focal_length=570.3, blobs=0.0, random=random
        )
        assert (depth > 0).all()
        assert depth.mean() == pytest.approx(1000 * z, rel=2e-3)
        spread.append(depth.std())
    assert spread[0] < 3
    assert 3 < spread[1] / spread[0] < 5.5


def test_sensor_shadow_lies_to_the_left_of_a_nearer_surface():
    exact = np.full((40, 60), 1.5)
    exact[:, 30:45] = 0.8
    depth = synthetic_sensor.depth_image(
        exact, np.ones((40, 60)), focal_length=570.3, blobs=0.0, random=np.random.default_rng(0)
    )
    width = 570.3 * 0.075 * (1 / 0.8 - 1 / 1.5)
    assert (depth[:, 30 - int(width) + 3 : 27] == 0).all()
    assert (depth[:, : 30 - int(width) - 4] > 0).all()
    assert (depth[:, 48:] > 0).all()


def test_grazing_surfaces_return_nothing():
    facing = np.ones((40, 60))
    facing[:, :20] = 0.01
    depth = synthetic_sensor.depth_image(
        np.ones((40, 60)), facing, focal_length=570.3, blobs=0.0, random=np.random.default_rng(0)
    )
    assert (depth[:, :20] == 0).all() and (depth[:, 20:] > 0).all()


@pytest.fixture(scope="module")
def placed():
    return synthetic.plan(
        train_instances=4, test_instances=2, frames_per_instance=3, val_fraction=0.25, places=2, seed=5
    )


def test_without_places_frames_are_those_of_earlier_versions(plan):
    frame = plan.load(plan.splits["train"][7])
    rgb, depth = (cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) for png in (frame.rgb, frame.depth))
    assert rgb.shape == (55, 45, 3)
    # another processor may round otherwise
    assert (rgb.sum(), depth.sum(dtype=np.int64)) == pytest.approx((933723, 1935261), rel=1e-4)


def test_splits_have_their_own_places_and_videos_keep_theirs(placed):
    seen = {split: {(r.split, r.place) for r in references} for split, references in placed.splits.items()}
    assert seen == {split: {(split, 0), (split, 1)} for split in ("train", "val", "test")}
    by_video = {}
    for references in placed.splits.values():
        for reference in references:
            by_video.setdefault((reference.instance, synthetic._video(reference)), set()).add(reference.place)
    assert all(len(places) == 1 for places in by_video.values())
    for label in range(8):  # the place does not tell the class
        assert len({r.place for r in placed.splits["train"] if r.instance % 8 == label}) == 2
    walls = {synthetic._place(5, split, number).wall for split in seen for number in (0, 1)}
    assert len(walls) == 6


def test_a_place_lies_behind_the_object_which_is_the_same_as_without(placed):
    without = synthetic.plan(train_instances=4, test_instances=2, frames_per_instance=3, val_fraction=0.25, seed=5)
    for split in ("train", "test"):
        for place in (0, 5):
            here, plain = (plan.load(plan.splits[split][place]) for plan in (placed, without))
            assert (here.name, here.label, here.instance, here.gravity) == (
                plain.name,
                plain.label,
                plain.instance,
                plain.gravity,
            )
            depth, tight = (cv2.imdecode(np.frombuffer(f.depth, np.uint8), cv2.IMREAD_UNCHANGED) for f in (here, plain))
            assert np.all(1.3 * np.array(tight.shape) - 16 < depth.shape)
            border = np.concatenate([depth[0], depth[:, 0], depth[:, -1]])
            inside = np.median(depth[depth.shape[0] // 2 - 3 :][:6, depth.shape[1] // 2 - 3 :][:, :6])
            assert np.percentile(border[border > 0], 60) > inside + 100  # millimetres


def test_a_thing_stands_where_it_is_said_to_and_is_lit():
    """A sphere half a metre behind the table's middle, seen straight through where the solid is not."""

    def sphere(points):
        return np.linalg.norm(points - [0, 0.2, 0], axis=1) - 0.2

    scene = _scene(synthetic_shapes.draw("sphere", np.random.default_rng(0)), table=0.05)
    red = synthetic_render.plain((1.0, 0.0, 0.0))
    thing = synthetic_render.Thing(synthetic_shapes.Solid(sphere, 0.4, 0.2), np.array([0.3, 0.0, 0.5]), red)
    scene = synthetic_render.Scene(**(vars(scene) | {"things": (thing,)}))
    axes = synthetic_render.camera_axes(0.0)
    position = np.array([0.3, 0.2, -0.9])  # in front of the sphere's centre, at its height
    intrinsics = (200.0, 200.0, 40.0, 40.0)
    image = synthetic_render.render(scene, position, axes=axes, intrinsics=intrinsics, size=(81, 81))
    assert image.depth[40, 40] == pytest.approx(1.4 - 0.2, abs=1e-3)
    assert image.facing[40, 40] == pytest.approx(1, abs=1e-3)
    seen = image.rgb[..., 0] > image.rgb[..., 1]
    rows, columns = np.nonzero(seen)
    reach = 200 * 0.2 / np.sqrt(1.4**2 - 0.2**2)
    assert (rows.min(), columns.min()) == pytest.approx((40 - reach, 40 - reach), abs=1)
    assert image.rgb[rows.min() + 2, 40, 0] > image.rgb[rows.max() - 2, 40, 0]  # lit from above, whatever the turn
