from tfrecords.build_summary import print_report


def _content(**changes):
    return {
        "splits": {
            "train": {"shards": ["train-00000.tfrecord"], "bytes": [1500], "count": 30, "labels": {"0": 20, "1": 10}},
            "test": {"shards": ["test-00000.tfrecord"], "bytes": [500], "count": 6, "labels": {"1": 4, "-1": 2}},
        },
        "classes": ["apple", "bowl"],
        "instances": ["apple_1"],
        "gravity": {"mode": "table", "sequences": {"measured": 3}, "known_frames": 36},
        "has_depth": True,
        "depth": {
            "missing": 0.125,
            "frames_by_missing": [30, 5, 1, 0, 0, 0, 0, 0, 0, 0],
            "metres": {"min": 0.5, "median": 0.8, "max": 3.25},
        },
        "excluded": {"frames of video 4": 7},
        "skipped_frames": [],
    } | changes


def _lines(capsys, content):
    print_report(content, "data/out")
    return capsys.readouterr().out.splitlines()


def test_counts(capsys):
    lines = _lines(capsys, _content())
    assert lines[0] == "frames: train 30, test 6"
    assert [line.split() for line in lines[2:6]] == [
        ["train", "test"],
        ["apple", "20", "0"],
        ["bowl", "10", "4"],
        ["unlabelled", "0", "2"],
    ]
    assert "depth: 0.500 to 3.250 m, median 0.80 m" in lines
    assert "missing depth: 12.5% of all pixels; frames by their share of it:" in lines
    assert f"    0 to  10 %        30  {'#' * 40}" in lines
    assert "   10 to  20 %         5  #######" in lines
    assert "excluded: 7 frames of video 4" in lines
    assert lines[-2:] == ["bytes: 2,000 in 2 shards", "written to: data/out"]
    assert not any("skipped" in line for line in lines)


def test_what_was_skipped_is_grouped_by_reason(capsys):
    reasons = ["/a/1.png is missing: fetch it", "/a/23.png is missing: fetch it", "/b/4.png is 7x5 but 5x7"]
    lines = _lines(capsys, _content(skipped_frames=[{"reason": reason} for reason in reasons]))
    start = lines.index("skipped: 3 frames, listed in data/out/skipped.jsonl")
    assert lines[start + 1 : start + 3] == ["       2  … is missing: fetch it", "       1  … is NxN but NxN"]


def test_many_classes_are_cut_short(capsys):
    lines = _lines(capsys, _content(classes=[f"object_{number}" for number in range(300)]))
    assert "  and 241 more: dataset.json has them all" in lines
    assert len(lines) < 90


def test_color_only_without_classes(capsys):
    splits = {"train": {"shards": ["train-00000.tfrecord"], "bytes": [1500], "count": 0, "labels": {}}}
    lines = _lines(capsys, _content(has_depth=False, depth=None, classes=[], splits=splits))
    assert not any("depth" in line for line in lines)
