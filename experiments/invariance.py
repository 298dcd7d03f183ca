"""What each augmentation gives and what it costs: class, colour and pose read off frozen features of a turntable's frames.

python -m experiments.invariance --data_dir=data/washington --workdir=runs/washington --scale=small --seeds=0,1,2

Training tells an encoder that two views are the same; what differs between them it may forget. Xiao et al., What Should Not
Be Contrastive in Contrastive Learning, ICLR 2021, ask which of it a later task would have needed.
"""

import functools
import json
import os

import numpy as np

from experiments import common, depth_help, measure, report_parts
from keras_simsiam.evaluation import feature_store, figures
from keras_simsiam.evaluation.data import Data
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED, compare
from keras_simsiam.evaluation.encoders.source import resolve_run
from keras_simsiam.evaluation.tasks.pose import CLOSE
from keras_simsiam.probes import mean_colour, turntable

NAME = "invariance"
# SimCLR, whose paper asks which augmentations matter (section 3.1), and which learns more in few steps than SimSiam does here
# (docs/cifar10.md). Colour alone: what is drawn of colour has no counterpart in depth.
_METHOD = ("--modality=rgb", "--method=simclr", "--predictor_lr=cosine", "--base_lr=0.3")
SMALL = (*depth_help.SMALL, *_METHOD)
PAPER = (*depth_help.PAPER, *_METHOD, "--head_dropout=0")
# each augmentation: the flags that leave it out of all, and those that add it to the random crop
AUGMENTATIONS = {
    "crop": (("--crop=0",), ()),
    "flip": (("--flip=0",), ("--flip=0.5",)),
    "jitter": (("--jitter=0",), ("--jitter=0.8",)),
    "grayscale": (("--grayscale=0",), ("--grayscale=0.2",)),
    "blur": (("--blur=0",), ("--blur=0.5",)),
    "solarize": (("--solarize=0",), ("--solarize=0.2",)),
}
ALL, CROP = "augment_all", "augment_crop"
_ALL = ("--augmentations=mocov2", "--solarize=0.2")  # MoCo v2's five and BYOL's sixth
_CROP = ("--augmentations=none", "--crop=1")


def without(name):
    """The name of the run that has all augmentations but one."""
    return f"augment_all_but_{name}"


def added(name):
    """The name of the run that has the random crop and one augmentation more."""
    return f"augment_crop_and_{name}"


CHANGES = {
    ALL: _ALL,
    **{without(name): (*_ALL, *out) for name, (out, _) in AUGMENTATIONS.items()},
    CROP: _CROP,
    **{added(name): (*_CROP, *more) for name, (_, more) in AUGMENTATIONS.items() if more},
}
MEASURES = {
    "knn": "kNN, %",
    "linear": "linear, %",
    "colour": "colour, R²",
    "pose": f"pose within {CLOSE}°, %",
}


def main(settings):
    """Trains a run for each set of augmentations, and writes the report."""
    runs = common.Runs(settings)
    runs.ask(common.variants(settings.scale, CHANGES, SMALL, PAPER), settings.seeds, report)
    runs.close()


def report(runs):
    """Writes invariance.md, .png and .json of the runs that exist."""
    probed = {}
    for variant, seeds in runs.measured.items():
        for seed in seeds:
            with runs.listing(common.run_name(variant, seed)):
                probed.setdefault(variant, {})[seed] = probe(runs.folder(variant, seed), runs.dataset)
    rows = [[name, *_cells(runs, probed, name, TRAINED)] for name in runs.measured]
    for name in list(runs.measured)[:1]:  # the same for all: one encoder, one seed
        rows.append(["untrained encoder", *_cells(runs, probed, name, UNTRAINED)])
    effects = [
        [name, *(_effect(runs, probed, *pair, key) for pair in _pairs(name) for key in MEASURES)]
        for name in AUGMENTATIONS
    ]
    heading = ["all − all but it: " + title for title in MEASURES.values()]
    heading += ["crop and it − crop: " + title for title in MEASURES.values()]
    text = [
        report_parts.protocol(runs),
        report_parts.table(["run", *MEASURES.values()], rows),
        "## What each augmentation gives (+) and costs (−)",
        report_parts.table(["augmentation", *heading], effects),
        _explanation(probed),
    ]
    title = "What each augmentation gives and costs"
    report_parts.write(runs, NAME, title, text, _figure(runs, probed), {"probed": probed})


def probe(workdir, dataset):
    """How far colour and pose can be read off a run's features; kept next to it, as of the same encoder and data before.

    Args:
        workdir: the run's folder.
        dataset: the `tfrecords.Dataset`.

    Returns:
        A dict of JSON values: `colour`, by encoder the R² of `mean_colour.score` on the split test; `pose`, by encoder the
        share of turntable angles of both splits that other frames of the recording place to CLOSE degrees, None where no
        recording is a whole turn.
    """
    source = resolve_run(workdir)
    path = os.path.join(workdir, "evaluation", "invariance.json")
    known = json.loads(json.dumps(measure.identity(source, dataset)))
    found = measure.read(path)
    if found.get("identity") != known or "pose" not in found:
        compared = compare(source)
        store = feature_store.Store(feature_store.default_folder(), measure.FEATURES_GB)
        data = Data(dataset, "train", "test", store, measure.BATCH)
        splits = {split: data.features(compared, split) for split in ("train", "test")}
        found = {"identity": known, "colour": _colour(splits, dataset), "pose": _pose(splits)}
        measure.write(path, found)
    return {key: found[key] for key in ("colour", "pose")}


def _colour(splits, dataset):
    """By encoder R² of the mean colours of the split test, learnt from those of the split train."""
    colours = {split: _colours(dataset, split) for split in splits}
    return {
        name: mean_colour.score(
            splits["train"][name].embeddings, colours["train"], splits["test"][name].embeddings, colours["test"]
        )
        for name in splits["train"]
    }


@functools.lru_cache(maxsize=4)  # all runs of a report ask for the same
def _colours(dataset, split):
    return mean_colour.of_samples(dataset.samples(split))


def _pose(splits):
    parts = list(splits.values())
    frames = np.concatenate([next(iter(part.values())).frames for part in parts])
    turns, _ = turntable.turns(frames)
    if not turns:
        return None
    shares = {}
    for name in parts[0]:
        features = np.concatenate([part[name].embeddings for part in parts])
        errors = np.concatenate([turntable.errors(features, turn, turn) for turn in turns])
        shares[name] = float(np.mean(np.abs(np.degrees(errors)) <= CLOSE))
    return shares


def _values(runs, probed, name, key, encoder=TRAINED):
    """A measure of each seed of a run: a dict by seed, in percent but for R²."""
    if key in measure.TASKS:
        return {
            seed: report_parts.top1({seed: found}, key, encoder)[0]
            for seed, found in runs.measured.get(name, {}).items()
        }
    factor = 1 if key == "colour" else 100
    return {seed: factor * found[key][encoder] for seed, found in probed.get(name, {}).items() if found[key]}


def _cells(runs, probed, name, encoder):
    return [
        report_parts.spread(list(_values(runs, probed, name, key, encoder).values()), _digits(key)) for key in MEASURES
    ]


def _digits(key):
    return 2 if key == "colour" else 1


def _pairs(name):
    """The runs with and without an augmentation: with all others, and with the crop alone."""
    return (ALL, without(name)), (added(name), CROP)


def _differences(runs, probed, with_it, without_it, key):
    """A measure of the run with an augmentation minus that without, of each seed that both have."""
    one, other = (_values(runs, probed, name, key) for name in (with_it, without_it))
    return [one[seed] - other[seed] for seed in one if seed in other]


def _effect(runs, probed, with_it, without_it, key):
    found = _differences(runs, probed, with_it, without_it, key)
    digits = _digits(key)
    return f"{np.mean(found):+.{digits}f}" + _deviation(found, digits) if found else "–"


def _deviation(found, digits):
    return f" ± {np.std(found, ddof=1):.{digits}f} ({len(found)})" if len(found) > 1 else ""


def _explanation(probed):
    no_turns = any(found["pose"] is None for seeds in probed.values() for found in seeds.values())
    return (
        f"`{ALL}` has crop, flip, jitter, grayscale, blur (MoCo v2's) and solarisation (p 0.2); `{CROP}` the random crop "
        f"alone. **colour**: {mean_colour.PROTOCOL}. **pose**: a turntable's angle, by ridge regression from other frames of "
        f"its recording (`--task=pose`, within), the share that errs by at most {CLOSE}°. Differences are of runs of one "
        "seed; of several, mean ± standard deviation (how many). A difference of a single seed says little: seeds differ by "
        "several points."
        + (
            " No recording of this data set is a whole turn of 8 frames or more: pose is not measured."
            if no_turns
            else ""
        )
    )


def _figure(runs, probed):
    figure, axes = figures.panels(len(MEASURES), 3.0, 3.4)
    for one, (key, title) in zip(axes, MEASURES.items(), strict=True):
        for shift, colour, label in (
            (-0.15, report_parts.TRAINED_COLOUR, "with all others"),
            (0.15, "black", "with the crop alone"),
        ):
            for place, name in enumerate(AUGMENTATIONS):
                pair = _pairs(name)[0 if shift < 0 else 1]
                found = _differences(runs, probed, *pair, key)
                one.plot(found, [place + shift] * len(found), "o", color=colour, alpha=0.6, label=label)
        one.axvline(0, color="0.7", linewidth=0.8)
        one.set_yticks(range(len(AUGMENTATIONS)), list(AUGMENTATIONS) if one is axes[0] else [])
        one.set_ylim(len(AUGMENTATIONS) - 0.5, -0.5)
        one.set_xlabel(f"{title}: with − without", fontsize=8)
    entries = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    axes[0].legend(entries.values(), entries.keys(), fontsize=7)
    return figure


if __name__ == "__main__":
    common.command(main)
