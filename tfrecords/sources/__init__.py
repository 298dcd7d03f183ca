"""The data sets that can be built: one module each, with a function that returns a plan of what to write."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_simsiam.core.errors import UserError
from tfrecords.example import Frame


@dataclass(frozen=True)
class Plan:
    """What a source hands the builder.

    Attributes:
        splits: by name, a reference to each frame; cheap to hold, in any order.
        load: reads or makes the frame of a reference, in one of several processes; equal references give equal frames.
            Raises UserError where this frame cannot be used: it is then left out of the data set and listed.
        classes: the name of each label.
        instances: the name of each instance.
        gravity: the mode it was found by and what was found, as JSON values.
        excluded: what was left out, reason to count.
        more: what else dataset.json shall say, as JSON values.
    """

    splits: Mapping[str, Sequence[Any]]
    load: Callable[[Any], Frame]
    classes: Sequence[str]
    instances: Sequence[str]
    gravity: Mapping[str, Any]
    excluded: Mapping[str, int] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def choose(flag: str, value: str, choices: Sequence[str]) -> str:
    """`value`, where it is one of the source's choices for a flag.

    Raises:
        UserError: it is not.
    """
    if value not in choices:
        raise UserError(f"`{flag}={value}` is not a choice of this source: it has {', '.join(choices)}")
    return value


def natural(name: str) -> list:
    """A sort key under which apple_2 comes before apple_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
