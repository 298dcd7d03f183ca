"""Does depth help? RGB, HHA and RGB-D by fusion, holes, positives and depth augmentation, in clean light and in bad.

python -m experiments.depth_help --data_dir=data/washington --workdir=runs/washington --scale=small --seeds=0,1,2

The first seed trains every variant; the others only RGB, its control, and the few that the first seed's validation puts ahead.
"""

import numpy as np

from experiments import common, report_parts
from keras_simsiam.evaluation import corruptions, figures
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from keras_simsiam.probes import bootstrap

NAME = "depth_help"
# 1,260 steps in minutes: small batches for more of them, the learning rate of a step kept, and a predictor that keeps up.
# Chosen on colour alone, seed 0: kNN ended at 62 % with 600 steps of 64 frames (docs/results.md).
SMALL = (
    *("--flagfile=recipes/washington_small.flags", "--batch_size=32", "--base_lr=0.1", "--predictor_lr=10"),
    *("--epochs=60", "--knn_every=20"),
)
CHOSEN_ON_COLOUR = (
    "The scale small's batch and rates were chosen on Washington's colour by its test kNN (docs/results.md): that favours "
    "colour."
)
PAPER = ("--flagfile=rgbd.flags",)
_JITTER = ("--hha_jitter=true", "--hha_dropout=0.3")  # colour jitter's counterpart: what the variants below it build on
CHANGES = {
    "rgb": ("--modality=rgb",),
    "rgbd": (),
    "rgb_wide": ("--modality=rgb", "--width=45"),  # 32·√2: as many parameters as two towers
    "hha": ("--modality=hha",),
    "hha_jitter": ("--modality=hha", "--hha_jitter=true"),
    "all_transforms": ("--hha_color=true",),
    "jitter": _JITTER,
    "early": (*_JITTER, "--fusion=early"),
    "shared": (*_JITTER, "--fusion=shared"),
    "gate": (*_JITTER, "--holes=mask", "--depth_gate=true"),
    "holes_mask": (*_JITTER, "--holes=mask"),
    "holes_neutral": (*_JITTER, "--holes=neutral"),
    "holes_nearest": (*_JITTER, "--holes=nearest"),
    "holes_inpaint": (*_JITTER, "--holes=inpaint"),
    "faults": (*_JITTER, "--sensor_noise=0.5"),
    "gravity_jitter": (*_JITTER, "--gravity_jitter=5"),
    "cross_modal": ("--hha_jitter=true", "--compare=cross_modal"),
    "intra_modal": ("--compare=intra_modal",),
    "intra_modal_jitter": ("--hha_jitter=true", "--compare=intra_modal"),
    "neighbour": (*_JITTER, "--positives=next_frame"),
    "rgb_neighbour": ("--modality=rgb", "--positives=next_frame"),
}
AT_PAPER_SIZE = {"rgb_wide": ("--modality=rgb", "--width=90")}
PUBLISHED = {"rgb": "70.62", "rgbd": "67.12", "all_transforms": "66.38"}  # Zhu, Table 1: linear, 51 categories

SMOKE_CONDITIONS = ("clean", "dark 1/16", "depth −50 %")
CONTROLS = ("rgb", "rgb_wide")
FINALISTS = 4
SHOWN = 6  # variants in the figure of conditions
BLOCK = 10  # consecutive frames that are drawn together


def main(settings):
    """Trains every variant once and the best few with the other seeds, and writes the report."""
    conditions = SMOKE_CONDITIONS if settings.scale == "smoke" else tuple(corruptions.CONDITIONS)
    runs = common.Runs(settings, conditions, validate=True)
    changes = CHANGES | (AT_PAPER_SIZE if settings.scale == "paper" else {})
    wanted = common.variants(settings.scale, changes, SMALL, PAPER)
    first, *others = settings.seeds
    runs.ask(wanted, (first,), report)
    if settings.train == "missing":
        wanted = {name: wanted[name] for name in finalists(runs.measured, first) if name in wanted}
    if others:
        runs.ask(wanted, others, report)
    runs.close()


def finalists(measured, seed):
    """RGB and its control, and the variants that a seed's kNN on the training split puts ahead: test labels play no part.

    Args:
        measured: dict from a variant to its measurements by seed.
        seed: the seed to choose by.
    """
    score = {name: seeds[seed]["validation"] for name, seeds in measured.items() if seed in seeds}
    ranked = sorted((name for name in score if name not in CONTROLS), key=lambda name: -(score[name] or 0))
    return [*(name for name in CONTROLS if name in score), *ranked[:FINALISTS]]


def report(runs):
    """Writes depth_help.md, .png and .json of the runs that exist."""
    compared = {
        name: {condition: compare(measured, runs.measured["rgb"], condition) for condition in runs.conditions}
        for name, measured in runs.measured.items()
        if name != "rgb" and "rgb" in runs.measured
    }
    header = ["variant", "parameters", "images/s", "validation", "kNN", "untrained", "linear", "kNN − RGB's", "verdict"]
    rows = [_row(name, measured, compared.get(name)) for name, measured in runs.measured.items()]
    worse = [
        _conditions_row(name, measured, compared.get(name), runs.conditions) for name, measured in runs.measured.items()
    ]
    text = [
        report_parts.protocol(runs),
        report_parts.table([*header, "the paper: linear, 51 categories"], rows),
        _explanation(),
        "## kNN, %, of test frames under other colours, less light and less depth",
        report_parts.table(["variant", *runs.conditions], worse),
        "`+`, `−`: better, worse than RGB under the same condition, where the interval leaves out 0. RGB sees no depth and "
        "HHA no colour, so those columns repeat `clean`.",
    ]
    raw = {
        name: {condition: vars(found) | {"verdict": found.verdict} for condition, found in by.items()}
        for name, by in compared.items()
    }
    report_parts.write(runs, NAME, "Does depth help?", text, _figure(runs), {"difference_from_rgb": raw})


def compare(measured, reference, condition):
    """The paired bootstrap of two variants' kNN over blocks of BLOCK consecutive frames, of the seeds that both have.

    Args:
        measured, reference: measurements by seed; without a common seed all of both are taken.
        condition: one that was measured.
    """
    seeds = set(measured) & set(reference)
    first, second = ([one[seed] for seed in seeds or one] for one in (measured, reference))
    blocks = bootstrap.neighbours(first[0]["frames"], BLOCK)
    return bootstrap.compare(*([_right(found, condition) for found in one] for one in (first, second)), blocks)


def _right(found, condition):
    return np.equal(found["predictions"]["knn"][TRAINED][condition], found["labels"])


def _row(name, measured, compared):
    found = next(iter(measured.values()))
    validation = [100 * one["validation"] for one in measured.values() if one["validation"] is not None]
    accuracies = [
        report_parts.accuracy(measured, "knn"),
        report_parts.spread(report_parts.top1(measured, "knn", UNTRAINED)),
        report_parts.accuracy(measured, "linear"),
    ]
    difference = ["–", "–"]
    if compared:
        low, high = (100 * bound for bound in compared["clean"].interval)
        difference = [f"{100 * compared['clean'].difference:+.1f} [{low:+.1f}, {high:+.1f}]", compared["clean"].verdict]
    size = f"{found['parameters'] / 1e6:.2f} M"
    speed = report_parts.spread(report_parts.last(measured, "images_per_second"), 0)
    return [name, size, speed, report_parts.spread(validation), *accuracies, *difference, PUBLISHED.get(name, "–")]


def _conditions_row(name, measured, compared, conditions):
    cells = []
    for condition in conditions:
        sign = ""
        if compared and compared[condition].verdict == "differs":
            sign = " +" if compared[condition].difference > 0 else " −"
        cells.append(report_parts.spread(report_parts.top1(measured, "knn", condition=condition)) + sign)
    return [name, *cells]


def _explanation():
    return (
        f"`kNN − RGB's` with its 95 % interval: a paired bootstrap over blocks of {BLOCK} consecutive test frames and over the "
        "seeds that both have; `tie` where it holds 0 (with fewer than "
        f"{bootstrap.MIN_BLOCKS} blocks always). `validation`: kNN on the training split, each frame against other recordings; "
        f"by it, and not by the test, the {FINALISTS} variants are chosen that are trained with more than one seed. "
        "Of a single seed a verdict is on two runs, not on two variants: seeds differ too. And of twenty comparisons "
        f"of equals one `differs` by chance. What each run is, its command below says. {CHOSEN_ON_COLOUR}"
    )


def _figure(runs):
    conditions = runs.conditions
    figure, axes = figures.panels(2, 5.6, 1.6 + 0.26 * max(8, len(runs.measured)))
    report_parts.ladder(axes[0], runs.measured, "knn")
    axes[0].set_xlabel("kNN on clean test frames, %")
    shown = sorted(runs.measured, key=lambda name: -len(runs.measured[name]))[:SHOWN]  # those of most seeds first
    for name in shown:
        values = [
            np.mean(report_parts.top1(runs.measured[name], "knn", condition=condition)) for condition in conditions
        ]
        style = {"color": "black", "linewidth": 2} if name == "rgb" else {}
        axes[1].plot(range(len(conditions)), values, "o-", markersize=3, label=name, **style)
    axes[1].set_xticks(range(len(conditions)), conditions, rotation=45, ha="right", fontsize=8)
    axes[1].set_ylabel("kNN, %")
    if shown:
        axes[1].legend(fontsize=7)
    return figure


if __name__ == "__main__":
    common.command(main)
