"""The Washington RGB-D Object Dataset (Lai et al., ICRA 2011): 300 objects of 51 categories on a turntable."""

from collections.abc import Sequence

from keras_simsiam.core.errors import UserError
from tfrecords import images
from tfrecords.example import Frame
from tfrecords.sources import Plan, choose, washington_gravity, washington_splits
from tfrecords.sources.washington_layout import Reference, scan

_UNITS_PER_METRE = 1000.0


def plan(
    input: str,
    split: str = "category",
    *,
    every: int = 5,
    gravity: str = "table",
    val_fraction: float = 0.0,
    seed: int = 0,
) -> Plan:
    """Plan the data set from its official files, cropped or full frames.

    Args:
        input: the folder of the categories.
        split: `category`: one test instance of each category, the label is the category
            (`washington_splits.by_category`); `instance`: trained on videos 1 and 4, tested on 2, the label is the instance
            (`washington_splits.by_instance`).
        every: keeps the 1st, (every + 1)st, ... frame of each (instance, video); the paper takes every 5th.
        gravity: `table`: the plane of the table (`washington_gravity.table`); `nominal`: 30°, 45°, 60° below the horizon
            for videos 1, 2, 4; `estimate`: frame by frame from the normals (`keras_simsiam.depth.gravity`).
        val_fraction: of the training data that becomes `val` (`washington_splits.hold_out`), in [0, 1).
        seed: of the test instances, the validation instances and the plane fits.

    Raises:
        UserError: a file or an argument that the user can correct, named in the message.
    """
    choose("split", split, ("category", "instance"))
    choose("gravity", gravity, ("table", "nominal", "estimate"))
    references = scan(input, every)
    if split == "instance":
        splits, excluded = washington_splits.by_instance(references)
    else:
        splits, excluded = washington_splits.by_category(references, input, seed)
    splits = washington_splits.hold_out(splits, val_fraction, split == "category", seed)
    kept = [reference for references in splits.values() for reference in references]
    if not kept:
        raise UserError(f"`input={input}` has no instance with videos 1 or 4 and 2: build with `split=category`")
    classes, instances = washington_splits.number_names(kept, split)
    gravities, description = _gravities(kept, gravity, seed)
    return Plan(
        splits=splits,
        load=_Loader(classes if split == "category" else None, instances, gravities),
        classes=classes,
        instances=instances,
        gravity=description,
        excluded={reason: count for reason, count in excluded.items() if count},
    )


def _gravities(references: Sequence[Reference], mode, seed):
    if mode == "table":
        return washington_gravity.table(references, seed)
    if mode == "nominal":
        return washington_gravity.nominal(references)
    return None, {"mode": "estimate"}


class _Loader:
    """Reader of a reference's frame; gravities None: estimated from each frame."""

    def __init__(self, categories, instances, gravities):
        self._instances = {name: index for index, name in enumerate(instances)}
        self._categories = categories and {name: index for index, name in enumerate(categories)}
        self._gravities = gravities

    def __call__(self, reference: Reference) -> Frame:
        rgb, size = images.read_color(reference.color_path)
        depth, pixels = images.read_depth(reference.depth_path, size)
        intrinsics = reference.intrinsics()
        if self._gravities is None:
            gravity = washington_gravity.estimate(pixels.astype("float32") / _UNITS_PER_METRE, intrinsics)
        else:
            gravity = self._gravities[reference.sequence]
        instance = self._instances[reference.instance]
        return Frame(
            name=reference.name,
            rgb=rgb,
            depth=depth,
            units_per_metre=_UNITS_PER_METRE,
            intrinsics=intrinsics,
            gravity=gravity,
            label=instance if self._categories is None else self._categories[reference.category],
            instance=instance,
        )
