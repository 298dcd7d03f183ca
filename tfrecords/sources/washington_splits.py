"""Which Washington frames are for training, validation and testing."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from keras_simsiam.core.errors import UserError
from tfrecords.sources import natural
from tfrecords.sources.washington_layout import Reference

TEST_INSTANCES = "testinstance_ids.txt"

_TRAIN_VIDEOS = (1, 4)
_TEST_VIDEOS = (2,)

Splits = dict[str, list[Reference]]


def by_category(references: Sequence[Reference], root: str, seed: int) -> tuple[Splits, dict[str, int]]:
    """Category recognition: one instance of each category is for testing, the others for training.

    The test instances are those of trial 1 in the root's testinstance_ids.txt, or drawn by the seed where there is no
    such file. The only instance of a category stays in training, so that category has no test frames.

    Returns:
        The splits, and counts of what is missing from them.

    Raises:
        UserError: testinstance_ids.txt names no instance of a category that has several.
    """
    instances = defaultdict(list)
    for reference in references:
        if reference.instance not in instances[reference.category]:
            instances[reference.category].append(reference.instance)
    listed = _listed_instances(os.path.join(root, TEST_INSTANCES))
    random = np.random.default_rng(seed)
    test = set()
    for category, names in instances.items():
        drawn = names[random.integers(len(names))]
        if len(names) == 1:
            continue
        if listed is None:
            test.add(drawn)
        elif not listed.intersection(names):
            path = os.path.join(root, TEST_INSTANCES)
            raise UserError(f"{path} names no instance of '{category}' that exists: add one, or delete the file")
        else:
            test |= listed.intersection(names)
    splits = {
        "train": [reference for reference in references if reference.instance not in test],
        "test": [reference for reference in references if reference.instance in test],
    }
    single = sum(len(names) == 1 for names in instances.values())
    return splits, {"categories without test frames (one instance only)": single}


def by_instance(references: Sequence[Reference]) -> tuple[Splits, dict[str, int]]:
    """Instance recognition: videos 1 and 4 are for training, video 2 for testing, of every instance that has both.

    Returns:
        The splits, and counts of what was left out.
    """
    train = [reference for reference in references if reference.video in _TRAIN_VIDEOS]
    test = [reference for reference in references if reference.video in _TEST_VIDEOS]
    kept = {reference.instance for reference in train} & {reference.instance for reference in test}
    everything = {reference.instance for reference in references}
    splits = {
        "train": [reference for reference in train if reference.instance in kept],
        "test": [reference for reference in test if reference.instance in kept],
    }
    return splits, {
        "instances without training or without test videos": len(everything - kept),
        "frames of videos other than 1, 2 and 4": len(references) - len(train) - len(test),
    }


def hold_out(splits: Splits, fraction: float, whole_instances: bool, seed: int) -> Splits:
    """Take a validation split from the training frames.

    Whole instances, drawn by the seed, where that is asked for and every category can spare one: of each category's
    training instances that fraction, at least one. Else a block: the last frames of each (instance, video) sequence, so
    that no validation frame lies between two training frames.

    Args:
        splits: with `train`.
        fraction: of the training data, in [0, 1); 0 takes none.
        whole_instances: whether an instance's frames shall stay together.
        seed: of the draw.

    Returns:
        The splits with a smaller `train`, and with `val` where anything was taken.
    """
    train = splits["train"]
    instances = _grouped(train, lambda reference: (reference.category, reference.instance))
    categories = _grouped(instances, lambda key: key[0])
    if whole_instances and all(len(names) > 1 for names in categories.values()):
        val = _drawn_instances(categories, instances, fraction, np.random.default_rng([seed, 1]))
    else:
        val = _last_blocks(train, fraction)
    names = {reference.name for reference in val}
    rest = [reference for reference in train if reference.name not in names]
    return splits | {"train": rest} | ({"val": val} if val else {})


def _drawn_instances(categories, instances, fraction, random):
    val = []
    for keys in categories.values():
        count = min(max(1, round(fraction * len(keys))), len(keys) - 1) if fraction else 0
        for index in sorted(random.permutation(len(keys))[:count]):
            val += instances[keys[index]]
    return val


def _last_blocks(train, fraction):
    val = []
    for frames in _grouped(train, lambda reference: reference.sequence).values():
        val += frames[len(frames) - round(fraction * len(frames)) :]
    return val


def _grouped(items, key):
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def _listed_instances(path):
    """The names under the first "***** Starting Trial 1 *****", or all lines of a plain list; None without a file."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        text = file.read()
    trials = re.split(r"^\*+.*\*+\s*$", text, flags=re.MULTILINE)
    first = trials[1] if len(trials) > 1 else trials[0]
    return {line.strip() for line in first.splitlines() if line.strip()}


def number_names(references: Sequence[Reference], split: str) -> tuple[list[str], list[str]]:
    """The names of the classes and of the instances, in the order of their numbers, for --split=category|instance."""
    instances = sorted({reference.instance for reference in references}, key=natural)
    if split == "instance":
        return instances, instances
    return sorted({reference.category for reference in references}), instances
