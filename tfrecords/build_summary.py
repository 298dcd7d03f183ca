"""What the builder prints when it is done."""

import os
import re
from collections import Counter

from tfrecords import description
from tfrecords.dataset_json import SKIPPED_JSONL

# At most so many lines of each kind: dataset.json and skipped.jsonl have them all.
_CLASSES, _REASONS = 60, 10
_BAR = 40  # characters


def print_report(content: dict, output: str) -> None:
    """Print frames by split and class, gravity, depth, what was left out and why, and bytes.

    Args:
        content: as `tfrecords.builder.build` returns it.
        output: the data set's folder.
    """
    splits = content["splits"]
    counts = ", ".join(f"{name} {split['count']}" for name, split in splits.items())
    print(f"frames: {counts}")
    print(f"classes: {len(content['classes'])} ({', '.join(content['classes'])})")
    _print_labels(content["classes"], splits)
    print(f"instances: {len(content['instances'])}")
    _print_gravity(content["gravity"])
    if content["has_depth"]:
        _print_depth(content["depth"])
    if origin := description.depth_origin(content):
        print(f"depth: {origin}")
    for reason, count in content["excluded"].items():
        print(f"excluded: {count} {reason}")
    _print_skipped(content["skipped_frames"], output)
    shards = sum(len(split["shards"]) for split in splits.values())
    print(f"bytes: {sum(sum(split['bytes']) for split in splits.values()):,} in {shards} shards")
    print(f"written to: {output}")


def _print_labels(classes, splits):
    """A table: a row a class, a column a split."""
    rows = [
        (name, [split["labels"].get(str(label), 0) for split in splits.values()]) for label, name in enumerate(classes)
    ]
    unlabelled = [split["labels"].get("-1", 0) for split in splits.values()]
    if any(unlabelled):
        rows.append(("unlabelled", unlabelled))
    width = max((len(name) for name, _ in rows[:_CLASSES]), default=0)
    print(f"  {'':{width}}{''.join(f'{name:>9}' for name in splits)}")
    for name, counts in rows[:_CLASSES]:
        print(f"  {name:{width}}{''.join(f'{count:>9}' for count in counts)}")
    if len(rows) > _CLASSES:
        print(f"  and {len(rows) - _CLASSES} more: dataset.json has them all")


def _print_gravity(gravity):
    if "mode" in gravity:
        print(f"gravity: {gravity['mode']}")
    for origin, count in gravity.get("sequences", {}).items():
        print(f"gravity {origin}: {count} videos")
    print(f"gravity known: {gravity['known_frames']} frames")


def _print_depth(depth):
    if "metres" in depth:
        least, median, greatest = (depth["metres"][name] for name in ("min", "median", "max"))
        print(f"depth: {least:.3f} to {greatest:.3f} m, median {median:.2f} m")
    if "frames_without" in depth:
        print(f"without any depth: {depth['frames_without']} frames")
    print(f"missing depth: {depth['missing']:.1%} of all pixels; frames by their share of it:")
    frames = depth["frames_by_missing"]
    for number, count in enumerate(frames):
        low, high = 100 * number // len(frames), 100 * (number + 1) // len(frames)
        print(f"  {low:3} to {high:3} % {count:9}  {'#' * -(-count * _BAR // max(frames))}")


def _print_skipped(skipped, output):
    if not skipped:
        return
    print(f"skipped: {len(skipped)} frames, listed in {os.path.join(output, SKIPPED_JSONL)}")
    # One mistake has many paths and numbers.
    kinds = Counter(re.sub(r"\d+(?!\d|-bit)", "N", re.sub(r"\S*/\S*", "…", line["reason"])) for line in skipped)
    for kind, count in kinds.most_common(_REASONS):
        print(f"  {count:6}  {kind}")
