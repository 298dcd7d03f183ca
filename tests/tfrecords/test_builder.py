import json
import os
from collections import Counter

import numpy as np
import pytest

from keras_simsiam.core.errors import UserError
from tests.tfrecords.conftest import png
from tfrecords import Dataset, builder, survey
from tfrecords.example import Frame
from tfrecords.shard import WriteError
from tfrecords.sources import Plan
from tfrecords.unfinished import FOLDER, Unfinished


class InProcess:
    """A pool of no processes, which can be told to end the build after some tasks."""

    def __init__(self, stop_after=None):
        self._left = stop_after

    def run(self, function, tasks, progress=lambda amount: None):
        for task in tasks:
            if function.func is builder._write_shard and self._left is not None:
                if not self._left:
                    raise KeyboardInterrupt
                self._left -= 1
            yield function(task, progress)


class Backwards(InProcess):
    """Several workers end in any order."""

    def run(self, function, tasks, progress=lambda amount: None):
        yield from reversed(list(super().run(function, tasks, progress)))


def load(number):
    """A frame of a few pixels; the negative ones cannot be used, and those from 1000 on have no depth."""
    if number < 0:
        raise UserError(f"/data/{-number}.png is missing: fetch it")
    random = np.random.default_rng(number)
    depth = random.integers(0, 4000, (6, 8), np.uint16)
    return Frame(
        name=f"frame_{number}",
        rgb=png(random.integers(0, 256, (6, 8, 3), np.uint8)),
        depth=png(depth) if number < 1000 else None,
        intrinsics=(500.0, 500.0, 3.5, 2.5),
        gravity=(0.0, 1.0, 0.0),
        label=number % 2,
    )


def make_plan(train=range(300), test=range(300, 340)):
    splits = {"train": list(train), "test": list(test)}
    return Plan(splits=splits, load=load, classes=["even", "odd"], instances=[], gravity={"mode": "known"})


def build(output, plan, pool=None, seed=0, **options):
    source = {"name": "numbers", "arguments": {"seed": seed}}
    with Unfinished(str(output)) as unfinished:
        return builder.build(plan, source, seed=seed, unfinished=unfinished, pool=pool or InProcess(), **options)


def files(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def numbers(folder, split):
    samples = Dataset(str(folder)).samples(split)
    return [int(sample["frame"].numpy().decode().removeprefix("frame_")) for sample in samples]


def test_every_frame_is_there_once_in_the_order_of_the_seed(tmp_path):
    build(tmp_path / "a", make_plan())
    random = np.random.default_rng(0)
    assert numbers(tmp_path / "a", "train") == list(random.permutation(300))
    assert numbers(tmp_path / "a", "test") == list(300 + random.permutation(40))
    build(tmp_path / "b", make_plan(), seed=1)
    assert numbers(tmp_path / "b", "train") == list(np.random.default_rng(1).permutation(300))


def test_shards_are_balanced(tmp_path, monkeypatch):
    content = build(tmp_path / "few", make_plan())
    assert [len(content["splits"][split]["shards"]) for split in ("train", "test")] == [4, 1]
    monkeypatch.setattr(survey, "_SHARD_BYTES", 5000)
    content = build(tmp_path / "many", make_plan())
    sizes = content["splits"]["train"]["bytes"]
    assert len(sizes) == pytest.approx(sum(sizes) / 5000, abs=2)
    assert max(sizes) < 1.2 * min(sizes)


def test_dataset_json(tmp_path):
    content = build(tmp_path / "a", make_plan())
    written = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert content.pop("skipped_frames") == []
    assert written == content
    assert written["source"] == {"name": "numbers", "arguments": {"seed": 0}}
    assert (written["schema_version"], written["has_depth"], written["skipped"]) == (1, True, 0)
    assert {name: split["count"] for name, split in written["splits"].items()} == {"train": 300, "test": 40}
    assert written["splits"]["train"]["labels"] == {"0": 150, "1": 150}
    assert written["camera"] == {"intrinsics": [500.0, 500.0, 3.5, 2.5], "size": [8, 6]}
    assert written["gravity"] == {"mode": "known", "known_frames": 340, "degrees_below_horizon": [0.0, 0.0]}
    # The oracle reads back what a user gets.
    dataset = Dataset(str(tmp_path / "a"))
    depth = np.stack([sample["depth"] for split in dataset.splits for sample in dataset.samples(split)])
    assert written["depth"]["missing"] == pytest.approx((depth == 0).mean(), abs=1e-6)
    present = depth[depth > 0]
    expected = {"min": present.min(), "median": np.median(present), "max": present.max()}
    assert written["depth"]["metres"] == pytest.approx(expected, abs=0.006)
    bins = Counter(min(int(share * 10), 9) for share in (depth == 0).mean(axis=(1, 2)))
    assert "frames_without" not in written["depth"]
    assert written["depth"]["frames_by_missing"] == [bins[number] for number in range(10)]


def test_intrinsics_that_differ_are_a_range(tmp_path):
    def varied(number):
        return Frame(**(vars(load(number)) | {"intrinsics": (500.0, 500.0 + number, 3.5, -float(number))}))

    plan = Plan(**(vars(make_plan()) | {"load": varied}))
    camera = build(tmp_path / "a", plan)["camera"]
    assert camera == {"intrinsics_range": [[500.0, 500.0, 3.5, -339.0], [500.0, 839.0, 3.5, 0.0]], "size": [8, 6]}


def test_frames_without_any_depth_are_counted(tmp_path):
    def sometimes(number):
        nothing = {"depth": png(np.zeros((6, 8), np.uint16))} if number % 3 == 0 else {}
        return Frame(**(vars(load(number)) | nothing))

    plan = Plan(**(vars(make_plan(range(90), range(300, 303))) | {"load": sometimes}))
    assert build(tmp_path / "a", plan)["depth"]["frames_without"] == 31


def test_color_only(tmp_path):
    content = build(tmp_path / "a", make_plan(range(1000, 1100), range(1100, 1110)))
    assert content["has_depth"] is False and content["depth"] is None
    assert numbers(tmp_path / "a", "test") == list(1100 + _second_permutation(100, 10))


def _second_permutation(first, second):
    random = np.random.default_rng(0)
    random.permutation(first)
    return random.permutation(second)


def test_the_order_in_which_workers_end_changes_nothing(tmp_path):
    plan = make_plan([*range(150), -7, *range(150, 300)])
    build(tmp_path / "a", plan)
    build(tmp_path / "b", plan, Backwards())
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("shards", [1, 3])
def test_a_stopped_build_goes_on_without_redoing_shards(tmp_path, shards):
    plan = make_plan([*range(150), -7, *range(150, 300)])
    build(tmp_path / "whole", plan)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "a", plan, InProcess(stop_after=shards))
    assert os.listdir(tmp_path / "a") == [FOLDER]
    before = {path: path.stat() for path in (tmp_path / "a" / FOLDER).glob("*.tfrecord")}
    assert len(before) == shards
    # 5 shards in all: a further one would end it.
    build(tmp_path / "a", plan, InProcess(stop_after=5 - shards))
    assert files(tmp_path / "a") == files(tmp_path / "whole")
    after = {path.name: (tmp_path / "a" / path.name).stat() for path in before}
    assert {path.name: (stat.st_ino, stat.st_mtime_ns) for path, stat in before.items()} == {
        name: (stat.st_ino, stat.st_mtime_ns) for name, stat in after.items()
    }


def test_a_build_stopped_while_it_is_published_goes_on(tmp_path, monkeypatch):
    build(tmp_path / "whole", make_plan())
    replace, moved = os.replace, []

    def stop(source, target):
        if os.path.dirname(target) == str(tmp_path / "a"):
            if len(moved) == 2:
                raise KeyboardInterrupt
            moved.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "a", make_plan())
    monkeypatch.undo()
    assert not (tmp_path / "a" / "dataset.json").exists()
    build(tmp_path / "a", make_plan(), InProcess(stop_after=0))
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_a_finished_shard_that_went_missing_is_written_again(tmp_path):
    build(tmp_path / "whole", make_plan())
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "a", make_plan(), InProcess(stop_after=3))
    os.truncate(tmp_path / "a" / FOLDER / "train-00001.tfrecord", 100)
    os.remove(tmp_path / "a" / FOLDER / "train-00002.tfrecord")
    build(tmp_path / "a", make_plan())
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_what_another_command_left_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "a", make_plan(), InProcess(stop_after=1))
    left = files(tmp_path / "a" / FOLDER)
    with pytest.raises(UserError, match=rf"unfinished build of another command \(`seed=0`\).*delete .*{FOLDER}"):
        build(tmp_path / "a", make_plan(), seed=1)
    with pytest.raises(UserError, match=r"its input has changed since it began: delete .*\.unfinished"):
        build(tmp_path / "a", make_plan(range(299)))
    assert files(tmp_path / "a" / FOLDER) == left


def test_unusable_frames_are_left_out_and_listed(tmp_path):
    plan = make_plan([*range(100), -5, 1000, *range(100, 200)])
    content = build(tmp_path / "a", plan)
    assert sorted(numbers(tmp_path / "a", "train")) == list(range(200))
    assert content["skipped"] == 2
    lines = [json.loads(line) for line in (tmp_path / "a" / "skipped.jsonl").read_text().splitlines()]
    expected = [
        {"split": "train", "frame": "-5", "reason": "/data/5.png is missing: fetch it"},
        {
            "split": "train",
            "frame": "1000",
            "reason": "frame_1000 has no depth, while other frames have it: build the two kinds separately",
        },
    ]
    assert sorted(lines, key=str) == sorted(expected, key=str)


def test_a_split_of_unusable_frames_is_none(tmp_path):
    content = build(tmp_path / "a", make_plan(test=range(-9, 0)))
    assert list(content["splits"]) == ["train"] and content["skipped"] == 9
    assert numbers(tmp_path / "a", "train")


@pytest.mark.parametrize("position", [0, 150, 200])
def test_strict_stops_at_the_first(tmp_path, position):
    references = list(range(300))
    references[position] = -5
    with pytest.raises(UserError, match=r"^/data/5.png is missing: fetch it$"):
        build(tmp_path / "a", make_plan(references), strict=True)


def test_strict_refuses_what_was_left_out_before(tmp_path):
    plan = make_plan([*range(299), -5])
    build(tmp_path / "whole", plan)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "a", plan, InProcess(stop_after=4))
    with pytest.raises(UserError, match=r"^/data/5.png is missing: fetch it$"):
        build(tmp_path / "a", plan, strict=True)
    build(tmp_path / "a", plan, InProcess(stop_after=1))
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_the_only_usable_frame_is_found(tmp_path):
    content = build(tmp_path / "a", make_plan([*range(-100, 0), 3], range(-5, 0)))
    assert content["splits"]["train"]["count"] == 1 and content["skipped"] == 105


def test_all_frames_unusable(tmp_path):
    message = r"^none of the 24 frames can be used: /data/\d+.png is missing: fetch it$"
    with pytest.raises(UserError, match=message):
        build(tmp_path / "a", make_plan(range(-20, 0), range(-24, -20)))
    assert os.listdir(tmp_path) == []


def test_no_frames_at_all(tmp_path):
    with pytest.raises(UserError, match="the source has no frames: nothing was written"):
        build(tmp_path / "a", make_plan([], []))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_keeps_what_is_finished(tmp_path, monkeypatch):
    build(tmp_path / "whole", make_plan())
    replace = os.replace

    def fail(source, target):
        if target.endswith("train-00002.tfrecord"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(WriteError, match=r"train-00002.tfrecord cannot be written \(No space left on device\)"):
        build(tmp_path / "a", make_plan())
    monkeypatch.undo()
    build(tmp_path / "a", make_plan(), InProcess(stop_after=3))
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_other_mistakes_in_a_source_keep_their_traceback(tmp_path):
    plan = Plan(**(vars(make_plan()) | {"load": lambda number: 1 / 0}))
    with pytest.raises(ZeroDivisionError):
        build(tmp_path / "a", plan)
