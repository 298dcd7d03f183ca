"""The part of a split that one worker out of several reads: every record falls to exactly one of them."""

from collections.abc import Sequence


def start(count: int, worker: int, workers: int) -> int:
    """The place, from 0, of the first record of a worker's stretch in a split of `count` records."""
    return count * worker // workers


def ranges(counts: Sequence[int], worker: int, workers: int) -> tuple[tuple[int, int], ...]:
    """The part of each shard that lies in a worker's stretch: first record, number of records.

    Args:
        counts: number of records in each shard.
        worker: which worker, from 0.
        workers: of how many.
    """
    total = sum(counts)
    begin, end = start(total, worker, workers), start(total, worker + 1, workers)
    parts, before = [], 0
    for count in counts:
        first, last = max(begin - before, 0), min(end - before, count)
        parts.append((first, max(last - first, 0)))
        before += count
    return tuple(parts)
