"""Builds a data set from a plan: in parallel, and the same bytes whatever the number of workers and however often stopped."""

import hashlib
import itertools
import json
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_simsiam.core.errors import UserError
from tfrecords import dataset_json, survey
from tfrecords.processes import Pool
from tfrecords.shard import Shard, WriteError
from tfrecords.sources import Plan
from tfrecords.unfinished import Unfinished, record

_PROGRESS_EVERY = 16  # frames: a message each would cost small frames a few per cent


def build(
    plan: Plan,
    source: dict,
    *,
    seed: int | None,
    unfinished: Unfinished,
    pool: Pool,
    strict: bool = False,
    run: Callable[..., Iterator[dict]] | None = None,
) -> dict:
    """Write the data set of a plan to the folder of `unfinished`, or go on where the same build was stopped.

    Args:
        plan: of the source.
        source: its `name` and `arguments`, as JSON values.
        seed: of the order of the records; None: that of the plan.
        unfinished: entered.
        pool: entered before anything of the plan ran.
        strict: stops at the first frame that cannot be used, instead of leaving it out.
        run: runs the tasks that write the shards, as `pool.run` (the default) does.

    Returns:
        The content of dataset.json, and what was left out under `skipped_frames`.

    Raises:
        UserError: no frame can be used, or (strict) one cannot; another build is in the way; a worker was killed.
        WriteError: the output cannot be written.
    """
    splits = {name: references for name, references in plan.splits.items() if len(references)}
    if seed is not None:
        random = np.random.default_rng(seed)
        # Mixed on disk, so that a reader's shuffle buffer need not hold whole sequences of near-equal frames.
        splits = {
            name: [references[index] for index in random.permutation(len(references))]
            for name, references in splits.items()
        }
    if not splits:
        raise UserError("the source has no frames: nothing was written")
    command = {"source": source, "input": _digest(plan)}
    layout = unfinished.begin(command, lambda: survey.layout(plan.load, splits, pool, strict))
    tasks = {split: _tasks(split, references, layout, unfinished.folder) for split, references in splits.items()}
    facts = _write_shards(plan.load, tasks, unfinished, run or pool.run, layout["has_depth"], strict)
    shards = {split: [facts[task.name] for task in dealt] for split, dealt in tasks.items()}
    skipped = [line for shard in itertools.chain(*shards.values()) for line in shard["skipped"]]
    content = dataset_json.describe(shards, _description(plan, source) | {"skipped": len(skipped)})
    unfinished.publish(content, skipped)
    return content | {"skipped_frames": skipped}


@dataclass(frozen=True)
class _Task:
    """The references of the frames of one shard."""

    split: str
    path: str
    references: Sequence[Any]

    @property
    def name(self):
        return os.path.basename(self.path)


def _tasks(split, references, layout, folder):
    count = layout["shards"][split]
    edges = [round(index * len(references) / count) for index in range(count + 1)]
    return [
        _Task(split, os.path.join(folder, dataset_json.shard_name(split, number)), references[start:end])
        for number, (start, end) in enumerate(itertools.pairwise(edges))
    ]


def _write_shards(load, tasks, unfinished, run, has_depth, strict):
    """The facts of all shards by their names, those that were finished before included."""
    tasks = list(itertools.chain(*tasks.values()))
    facts = unfinished.finished()
    total = sum(len(task.references) for task in tasks)
    done = sum(len(task.references) for task in tasks if task.name in facts)
    if strict:
        _refuse_skipped(facts.values())
    write = partial(_write_shard, load=load, has_depth=has_depth, strict=strict)
    with tqdm(total=total, initial=done, unit="frame", desc="building", disable=None) as bar:
        for shard in run(write, [task for task in tasks if task.name not in facts], bar.update):
            facts[shard["name"]] = shard
    return facts


def _write_shard(task, progress, load, has_depth, strict):
    """Write a shard, in a worker; return its facts, with the lines of skipped.jsonl under `skipped`."""
    skipped = []
    with Shard(task.path) as shard:
        for number, reference in enumerate(task.references, 1):
            try:
                shard.add(_load(load, reference, has_depth))
            except WriteError:
                raise
            except UserError as error:
                if strict:
                    raise
                skipped.append({"split": task.split, "frame": _name(reference), "reason": str(error)})
            if number % _PROGRESS_EVERY == 0 or number == len(task.references):
                progress((number - 1) % _PROGRESS_EVERY + 1)
        facts = shard.finish() | {"skipped": skipped}
    record(os.path.dirname(task.path), facts)
    return facts


def _load(load, reference, has_depth):
    frame = load(reference)
    if (frame.depth is not None) != has_depth:
        has, others = ("no depth", "have it") if has_depth else ("depth", "have none")
        raise UserError(f"{frame.name} has {has}, while other frames {others}: build the two kinds separately")
    return frame


def _name(reference):
    return str(getattr(reference, "name", reference))


def _refuse_skipped(facts):
    """A build that went on without --strict may have left frames out before."""
    for shard in facts:
        for line in shard["skipped"]:
            raise UserError(line["reason"])


def _digest(plan):
    """What the plan found in the input: an unfinished build can only go on with the same."""
    digest = hashlib.sha256(json.dumps(_description(plan, None), sort_keys=True).encode())
    for split, references in plan.splits.items():
        digest.update(split.encode())
        for reference in references:
            # One by one: which equal strings are one object differs between runs for a list as a whole.
            digest.update(pickle.dumps(reference))
    return digest.hexdigest()


def _description(plan, source):
    return {
        "source": source,
        "classes": list(plan.classes),
        "instances": list(plan.instances),
        "gravity": plan.gravity,
        "excluded": plan.excluded,
        **plan.more,
    }
