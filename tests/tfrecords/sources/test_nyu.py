import os
import pickle
import resource
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import io

from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import hha
from tfrecords import example
from tfrecords.sources import nyu

DATA = Path(__file__).parents[4] / "shared" / "data"
STEP = 1 / 6553.5  # metres


@pytest.fixture(scope="module")
def sample_file():
    if not (DATA / "nyu_sample.mat").exists():
        pytest.skip("the real frames are not beside the repository")
    return str(DATA / "nyu_sample.mat")


def _decoded(frame):
    return {name: value.numpy() for name, value in example.decode(tf.constant(example.encode(frame))).items()}


def _images(count, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 480, 640, 3), np.uint8), random.uniform(0.7, 9.9, (count, 480, 640))


def _write_split(folder, train, test, **options):
    columns = {name: np.array(value, float)[:, None] for name, value in (("trainNdxs", train), ("testNdxs", test))}
    io.savemat(os.path.join(folder, "splits.mat"), columns, **options)


@pytest.mark.parametrize(("depth", "variable"), [("filled", "depths"), ("raw", "rawDepths")])
def test_real_frames(sample_file, depth, variable):
    plan = nyu.plan(sample_file, split="all", depth=depth)
    assert plan.splits == {"train": [0, 1, 2, 3, 4, 5, 6]} and plan.classes == plan.instances == []
    assert plan.gravity["mode"] == "unknown"
    with h5py.File(sample_file) as file:
        for number in plan.splits["train"]:
            frame = plan.load(number)
            sample = _decoded(frame)
            stored = file[variable][number]
            metres = np.array([stored[:, row] for row in range(480)])
            assert np.abs(sample["depth"] - metres).max() <= STEP / 2 + 1e-6
            np.testing.assert_array_equal(sample["depth"] > 0, metres > 0)
            for channel, plane in enumerate(file["images"][number]):
                np.testing.assert_array_equal(sample["rgb"][:, 200, channel], plane[200])
            assert (frame.name, frame.label, frame.instance) == (f"nyu_{number + 1:04}", -1, -1)
            assert frame.intrinsics == pytest.approx((518.857901, 519.469611, 324.582449, 252.736166), abs=1e-6)


def test_a_real_frame_is_the_one_that_others_published(sample_file):
    """nyu_lab3 as its source ships it: colour and depth as images, and HHA by the published port."""
    plan = nyu.plan(sample_file, split="all")
    sample = _decoded(plan.load(0))
    color, depth, published = (np.array(Image.open(DATA / "hha" / "nyu_lab3" / f"{name}.png")) for name in FILES)
    np.testing.assert_array_equal(sample["rgb"], color)
    assert np.abs(sample["depth"] - depth / 10000).max() <= STEP / 2 + 0.5e-4 + 1e-6
    encoded = np.rint(hha.encode(sample["depth"], sample["intrinsics"]).numpy())
    assert np.abs(encoded - published).max() <= 1


FILES = ("color", "depth", "hha")


def test_depth_of_steps_of_a_65535th_of_10_m_is_kept_exactly(sample_file):
    """Frames 3 to 6 were made from such steps."""
    sample = _decoded(nyu.plan(sample_file, split="all").load(4))
    with h5py.File(sample_file) as file:
        assert np.abs(sample["depth"] - file["depths"][4].T).max() < 1e-6


def test_a_frame_by_hand(write_nyu):
    images, depths = _images(2)
    raw = np.where(depths > 8, 0, depths + 0.05)
    raw[1, 2, 3:5] = np.nan, np.inf
    path = write_nyu(
        2,
        images,
        depths,
        raw,
        names=["floor", "wall", "bed"],
        scenes=["office_0002", "kitchen_0001"],
        sceneTypes=["office", "kitchen"],
        rawRgbFilenames=["office_0002/r-1315.ppm", "kitchen_0001/r-1316.ppm"],
    )
    plan = pickle.loads(pickle.dumps(nyu.plan(path, split="all", depth="raw")))
    assert plan.classes == ["kitchen", "office"] and plan.instances == ["kitchen_0001", "office_0002"]
    frames = [plan.load(number) for number in plan.splits["train"]]
    assert [(frame.label, frame.instance) for frame in frames] == [(1, 1), (0, 0)]
    sample = _decoded(frames[1])
    np.testing.assert_array_equal(sample["rgb"], images[1])
    raw[1, 2, 3:5] = 0
    np.testing.assert_allclose(sample["depth"], raw[1], atol=STEP / 2 + 1e-6)
    assert example.encode(plan.load(1)) == example.encode(frames[1])


def test_the_farthest_depth(write_nyu):
    path = write_nyu(1, depths=[np.full((480, 640), 10.0)])
    assert _decoded(nyu.plan(path, split="all").load(0))["depth"].max() == 10.0


@pytest.mark.parametrize(("metres", "found"), [(10.01, "1 to 10.01"), (-0.1, "-0.1 to 1"), (2500.0, "1 to 2500")])
def test_depth_that_cannot_be_metres_is_refused(write_nyu, metres, found):
    depth = np.ones((480, 640))
    depth[7, 9] = metres
    plan = nyu.plan(write_nyu(2, depths=[np.ones((480, 640)), depth]), split="all")
    plan.load(0)
    with pytest.raises(UserError, match=rf"labeled\.mat: frame 2: depths holds {found}, the data set 0 to 10 m"):
        plan.load(1)


def test_official_split(write_nyu, tmp_path):
    random = np.random.default_rng(0)
    order = (random.permutation(1449) + 1).tolist()
    train, test = sorted(order[:795]), sorted(order[795:])
    path = write_nyu(1449)
    _write_split(tmp_path, train, test)
    plan = nyu.plan(path)
    assert plan.splits == {"train": [n - 1 for n in train], "test": [n - 1 for n in test]}
    assert [len(frames) for frames in plan.splits.values()] == [795, 654]
    (tmp_path / "elsewhere").mkdir()
    _write_split(tmp_path / "elsewhere", test, train)
    other = nyu.plan(path, splits_file=str(tmp_path / "elsewhere" / "splits.mat"))
    assert other.splits == {"train": plan.splits["test"], "test": plan.splits["train"]}


def test_paper_split(write_nyu):
    path = write_nyu(1449)
    plan = nyu.plan(path, split="paper", seed=1)
    assert {name: len(frames) for name, frames in plan.splits.items()} == {"train": 1152, "val": 144, "test": 145}
    assert len({frame for frames in plan.splits.values() for frame in frames}) == 1441
    assert plan.excluded == {"frames beyond the paper's 1441": 8}
    assert plan.splits == nyu.plan(path, split="paper", seed=1).splits != nyu.plan(path, split="paper", seed=2).splits


def test_validation_takes_whole_scenes(write_nyu):
    scenes = [f"scene_{number // 3}" for number in range(30)]
    plan = nyu.plan(write_nyu(30, scenes=scenes), split="all", val_fraction=0.2)
    held_out = {scenes[number] for number in plan.splits["val"]}
    assert len(plan.splits["val"]) == 6 and len(held_out) == 2
    assert not held_out & {scenes[number] for number in plan.splits["train"]}


def test_memory_does_not_grow_with_the_file(write_nyu):
    """All images together would take 1.3 GB, all depths 1.8 GB."""
    plan = nyu.plan(write_nyu(1449), split="all")
    plan.load(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(0, 1449, 100):
        plan.load(number)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_files_that_cannot_be_read_are_named(write_nyu, tmp_path):
    path = Path(write_nyu(2, *_images(2)))
    plan = nyu.plan(str(path), split="all")
    with h5py.File(path) as file:
        chunk = file["depths"].id.get_chunk_info(1)
    path.write_bytes(path.read_bytes()[: chunk.byte_offset + 100])
    with pytest.raises(UserError, match=r"labeled\.mat is no MATLAB 7\.3 \(HDF5\) file, or is cut off"):
        nyu.plan(str(path), split="all")
    with pytest.raises(UserError, match="is cut off"):
        plan.load(0)
    io.savemat(tmp_path / "5.mat", {"images": np.zeros((4, 5, 3, 2), np.uint8)})
    with pytest.raises(UserError, match=r"5\.mat is a MATLAB 5 file"):
        nyu.plan(str(tmp_path / "5.mat"), split="all")


def test_a_damaged_frame_is_named_when_it_is_loaded(tmp_path):
    path = tmp_path / "packed.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=_images(2)[0].transpose(0, 3, 2, 1), chunks=(1, 3, 640, 480))
        file.create_dataset("depths", data=np.ones((2, 640, 480), "f4"), chunks=(1, 640, 480), compression="gzip")
        file["accelData"] = np.ones((4, 2))
        chunk = file["depths"].id.get_chunk_info(1)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"x" * chunk.size)
    plan = nyu.plan(str(path), split="all")
    plan.load(0)
    with pytest.raises(UserError, match=r"packed\.mat: frame 2 is damaged") as error:
        plan.load(1)
    assert "\n" not in str(error.value)


def _change(path, name, value):
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("images", np.zeros((2, 480, 640, 3), np.uint8), r"images is \[2, 480, 640, 3\], not \[N,3,640,480\]"),
        ("images", None, r"images is missing, not \[N,3,640,480\]"),
        ("images", np.zeros((2, 3, 640, 480), np.float32), "images holds float32, not uint8"),
        ("depths", np.zeros((480, 640, 2), np.float32), r"depths is \[480, 640, 2\], not \[N,640,480\]"),
        ("depths", np.zeros((2, 640, 480), np.uint16), "depths holds uint16, not float32"),
        ("depths", np.zeros((1, 640, 480), np.float32), "holds 2 images and 1 depths"),
        ("scenes", np.zeros(2), "scenes is not a cell array of strings"),
        ("accelData", np.zeros((2, 4)), r"accelData is not \[4,2\]"),
    ],
)
def test_another_layout_is_named(write_nyu, name, value, message):
    path = write_nyu(2, accel=np.zeros((2, 4)), scenes=["a", "b"])
    _change(path, name, value)
    with pytest.raises(UserError, match=message) as error:
        nyu.plan(path, split="all")
    assert path in str(error.value) and "\n" not in str(error.value)


def test_files_without_frames_or_with_too_few_names(write_nyu):
    with pytest.raises(UserError, match="holds 0 images and 0 depths"):
        nyu.plan(write_nyu(0), split="all")
    with pytest.raises(UserError, match="scenes has 1 entries for 2 frames"):
        nyu.plan(write_nyu(2, scenes=["a"]), split="all")


def test_splits_that_do_not_fit_are_named(write_nyu, tmp_path):
    path = write_nyu(9)
    for arguments, message in (
        ({}, r"splits\.mat is missing: fetch it from the data set's page, or give `splits_file` or `split=all`"),
        ({"split": "paper"}, "`split=paper` takes 1441 frames, but .* holds 9"),
        ({"split": "all", "splits_file": "splits.mat"}, "`splits_file` has no meaning with `split=all`"),
        ({"split": "random"}, "`split=random` is not a choice"),
        ({"split": "all", "depth": "dense"}, "`depth=dense` is not a choice"),
    ):
        with pytest.raises(UserError, match=message):
            nyu.plan(path, **arguments)
    for train, test, message in (
        ([1, 2], [10], r"splits\.mat goes to frame 10, but .* holds 9"),
        ([1, 0], [3], r"splits\.mat goes to frame"),
        ([1, 2], [2], "names a frame twice"),
        ([1, 2], [], "trainNdxs or testNdxs holds no numbers"),
    ):
        _write_split(tmp_path, train, test)
        with pytest.raises(UserError, match=message):
            nyu.plan(path)
    Path(tmp_path, "splits.mat").write_text("not found")
    with pytest.raises(UserError, match=r"splits\.mat is not a readable \.mat file"):
        nyu.plan(path)


def test_no_second_validation_split(write_nyu):
    with pytest.raises(UserError, match="`val_fraction` has no meaning with `split=paper`"):
        nyu.plan(write_nyu(1449), split="paper", val_fraction=0.1)


def test_images_are_encoded_without_loss_as_png(write_nyu):
    images, depths = _images(1)
    frame = nyu.plan(write_nyu(1, images, depths), split="all").load(0)
    decoded = cv2.imdecode(np.frombuffer(frame.rgb, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded[..., ::-1], images[0])
    assert cv2.imdecode(np.frombuffer(frame.depth, np.uint8), cv2.IMREAD_UNCHANGED).dtype == np.uint16
