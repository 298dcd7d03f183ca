"""Depth from one image: contrastive, classification and random encoders by training strategy (Ray, Figure 2).

python -m experiments.depth_table --data_dir=data/washington --depth_data_dir=data/osd --workdir=runs/washington

The encoders are pre-trained on the colours of --data_dir; the decoders learn the depth of --depth_data_dir.
"""

import functools
import os

from absl import flags

from experiments import common, report_parts, tasks
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import figures
from tfrecords import Dataset

NAME, TITLE = "depth_table", "Depth from one image"
CHANGES = {"contrastive": ("--method=simclr",), "classification": ("--method=supervised",)}
SMALL = ("--flagfile=recipes/washington_small.flags", "--modality=rgb", "--epochs=60", "--knn_every=20")
AT_PAPER_SIZE = {name: (f"--flagfile=recipes/depth_{name}.flags",) for name in CHANGES}
STRATEGIES = ("probe", "switch", "finetune")
GIVEN = {
    "smoke": {"depth_strategy": ("probe",), "depth_trials": 1, "depth_epochs": 2, "depth_batch_size": 16},
    # a few dozen frames are one batch of 64: smaller ones and ten times the rate, or the decoders hardly move in 70 epochs
    "small": {
        "depth_strategy": STRATEGIES,
        "depth_trials": 3,
        "depth_epochs": 100,
        "depth_batch_size": 12,
        "depth_lr": 1e-3,
    },
    "paper": {"depth_strategy": STRATEGIES},
}
METRICS = {"mse": "loss, m²", "rel": "rel", "delta1": "δ < 1.25", "delta2": "δ < 1.25²", "delta3": "δ < 1.25³"}
COLOURS = {
    "contrastive": report_parts.TRAINED_COLOUR,
    "classification": report_parts.OTHER_COLOUR,
    "random": report_parts.BASELINE_COLOUR,
}
PUBLISHED = {
    "contrastive probe": (0.814, 0.266, 0.566, 0.856, 0.954),
    "classification probe": (0.846, 0.245, 0.554, 0.855, 0.959),
    "contrastive switch": (0.570, 0.210, 0.663, 0.914, 0.979),
    "contrastive finetune": (0.479, 0.190, 0.704, 0.935, 0.987),
    "classification switch": (0.460, 0.183, 0.713, 0.941, 0.987),
    "classification finetune": (0.412, 0.178, 0.744, 0.948, 0.989),
}


def main(settings, depth_data_dir=None):
    """Trains what is missing, and writes the report."""
    ask(settings, depth_data_dir, report)


def ask(settings, depth_data_dir, report):
    """Trains the encoders that are missing and calls `report`.

    Args:
        settings: the `common.Settings`.
        depth_data_dir: the data set whose depth is learnt; None: that of the settings.
        report: function of the `common.Runs` and of that `tfrecords.Dataset`.

    Raises:
        UserError: the data set has no depth, or as `common.Runs.ask`.
    """
    dataset = Dataset(depth_data_dir or settings.data_dir)
    if not dataset.has_depth:
        raise UserError(f"{dataset.path} has no depth: give a data set with depth as --depth_data_dir")
    runs = common.Runs(settings)
    runs.ask(wanted(settings.scale), settings.seeds, functools.partial(report, dataset=dataset))
    runs.close()


def wanted(scale):
    """The flags of each encoder's run at a scale, by its name."""
    return common.variants(scale, AT_PAPER_SIZE if scale == "paper" else CHANGES, SMALL, ())


def evaluated(runs, dataset):
    """The results of --task=monodepth of all runs that are measured: a dict from a variant to a dict from a seed."""
    return tasks.of_runs(runs, "monodepth", GIVEN[runs.settings.scale], dataset)


def configurations(found):
    """What was found of each configuration, its trials of all seeds together.

    Args:
        found: what `evaluated` gives. The untrained encoder, the same beside each variant, is taken beside the first.

    Returns:
        A dict from a name, such as `contrastive probe`, to a dict of `pooled`, from a metric to a list of numbers, one a trial,
        `histories`, `train` and `validation`, lists of each trial's losses in m², and `first`, what the task found with the
        first seed.
    """
    merged = {}
    for variant, seeds in found.items():
        for result in seeds.values():
            for name, one in result["configurations"].items():
                if name.startswith("random") and variant != next(iter(found)):
                    continue
                into = merged.setdefault(name, {"pooled": {}, "histories": {}, "first": one})
                for kind in ("pooled", "histories"):
                    for key, values in one[kind].items():
                        into[kind].setdefault(key, []).extend(values)
    return merged


def report(runs, dataset):
    """Writes depth_table.md, .png and .json of the runs that exist."""
    found = evaluated(runs, dataset)
    measured = configurations(found)
    compared = ["rel, images [95 %]", "rel, images − random's"]
    header = ["encoder, strategy", *METRICS.values(), *compared, "the paper: " + ", ".join(METRICS.values())]
    rows = [
        [name, *_metrics(one["pooled"]), *_compared(one["first"]), _published(name)] for name, one in _ranked(measured)
    ]
    for result in [result for seeds in found.values() for result in seeds.values()][:1]:  # the same beside each
        rows += [[name, *_metrics(one["pooled"]), *_compared(one), "–"] for name, one in result["baselines"].items()]
    text = [*protocol(found, dataset), report_parts.table(header, rows), _NOTE]
    pictures = {TITLE: _figure(measured)}
    for variant, seeds in found.items():
        for seed, result in list(seeds.items())[:1]:
            folder = os.path.join(runs.folder(variant, seed), "evaluation", "monodepth")
            shown = next(file for file in result["files"] if file.endswith("predictions.png"))
            pictures[f"Predictions, {variant}"] = os.path.join(folder, shown)
    report_parts.write(runs, NAME, TITLE, text, pictures, raw(found, dataset))


_NOTE = (
    "Metrics over all measured pixels of the test split together, as the paper has them: loss and rel are better low, δ high; "
    "from the worst rel to the best. Of several trials mean ± standard deviation (how many). `random` starts from the "
    "untrained encoder; what takes no image at all stands below. `rel, images` is the mean over images and trials with its "
    "95 % interval; beside it its difference from `random` by the same strategy, a `tie` where the interval holds 0 (how the "
    "others differ among themselves is not tested). Both are by a bootstrap over blocks of ten consecutive frames and over "
    "trials, of several seeds of an encoder those of the first seed alone; fewer than six blocks have no interval and always "
    "tie. The last column is Ray, Figure 2: ResNet-50 pre-trained on ImageNet, NYU Depth v2, another camera and other rooms: "
    "not to be compared in its numbers, but in its order."
)


def protocol(found, dataset):
    """A paragraph on what was measured, in a list."""
    results = [result for seeds in found.values() for result in seeds.values()]
    if not results:
        return ["No run of this experiment is complete yet."]
    counts = ", ".join(f"{name} {split.count}" for name, split in sorted(dataset.splits.items()))
    return [f"Depth in metres on the split test; frames: {counts}. {results[0]['protocol']}."]


def raw(found, dataset):
    """The JSON values beside the measurements."""
    return {"depth_data": {"folder": dataset.path, "sha256": dataset.checksum}, "monodepth": found}


def _ranked(measured):
    return sorted(measured.items(), key=lambda item: -_mean(item[1]["pooled"]["rel"]))


def _mean(values):
    return sum(values) / len(values)


def _metrics(pooled):
    return [report_parts.spread(pooled[metric], 3) for metric in METRICS]


def _compared(result):
    """Two cells of a configuration's or a baseline's results: rel over images, and its difference from the untrained encoder's.

    Too few blocks of frames have no interval.
    """
    interval, against = result["interval"]["rel"], result.get("against", {}).get("random")
    images = f"{_mean(result['per_image']['rel']):.3f}" + (" [{:.3f}, {:.3f}]".format(*interval) if interval else "")
    if not against:
        return [images, "–"]
    bounds = " [{:+.3f}, {:+.3f}]".format(*against["interval"]) if against["interval"] else ""
    return [images, f"{against['difference']:+.3f}{bounds} {against['verdict']}"]


def _published(name):
    return ", ".join(f"{value:.3f}" for value in PUBLISHED[name]) if name in PUBLISHED else "–"


def _figure(measured):
    """Each trial's rel and δ, the configurations from the worst to the best."""
    figure, axes = figures.panels(2, 4.4, 1.2 + 0.3 * max(4, len(measured)))
    for one, metric in zip(axes, ("rel", "delta1"), strict=True):
        for place, (name, found) in enumerate(_ranked(measured)):
            values = found["pooled"][metric]
            colour = COLOURS[name.split()[0]]
            one.plot(values, [place] * len(values), "o", color=colour, alpha=0.6)
            one.plot(_mean(values), place, "|", color=colour, markersize=16, markeredgewidth=2)
        one.set_yticks(range(len(measured)), [name for name, _ in _ranked(measured)])
        one.set_ylim(max(1, len(measured)) - 0.5, -0.5)
        one.set_xlabel(METRICS[metric])
    return figure


def command(main):
    """`common.command` with the flag that names the data set whose depth is learnt.

    Args:
        main: function of a `common.Settings` and that flag's value.
    """
    flags.DEFINE_string("depth_data_dir", None, "Data set whose depth is learnt, by default that of --data_dir.")
    common.command(lambda settings: main(settings, flags.FLAGS.depth_data_dir))


if __name__ == "__main__":
    command(main)
