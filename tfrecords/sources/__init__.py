"""The data sets that can be built: one module each, with a function that returns a plan of what there is to write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfrecords.example import Frame


@dataclass(frozen=True)
class Plan:
    """What a source hands the builder.

    Attributes:
      splits: by name, a reference to each frame; cheap to hold, in any order.
      load: reads or makes the frame of a reference; may be called from several threads. Raises UserError.
      classes: the name of each label.
      instances: the name of each instance.
      gravity: the mode it was found by and what was found, as JSON values.
      excluded: what was left out, reason to count.
    """

    splits: Mapping[str, Sequence[Any]]
    load: Callable[[Any], Frame]
    classes: Sequence[str]
    instances: Sequence[str]
    gravity: Mapping[str, Any]
    excluded: Mapping[str, int] = field(default_factory=dict)
