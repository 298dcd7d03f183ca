"""What else the RGB-D paper suspects of its result: the batch of 64, and twice the parameters (Zhu, section 5).

python -m experiments.depth_suspects --data_dir=data/washington --workdir=runs/washington --scale=small
"""

import numpy as np

from experiments import common, comparison, depth_help, report_parts
from keras_simsiam.evaluation import figures

BATCHES = (32, 64, 128, 256)
OWN_BATCH = {"smoke": 16, "small": 32, "paper": 64}  # of the runs that are those of the other experiments
ARMS = {"rgb": ("--modality=rgb",), "rgbd": ()}


def experiment(scale):
    """The `comparison.Comparison` at a scale."""
    others = [batch for batch in BATCHES if batch != OWN_BATCH[scale]]
    changes = {
        **ARMS,
        "rgb_wide": depth_help.CHANGES["rgb_wide"],
        "rgbd_narrow": ("--width=23",),  # 32/√2: two towers of as many parameters as one
        **{_run(arm, batch, scale): (*ARMS[arm], f"--batch_size={batch}") for batch in others for arm in ARMS},
    }
    return comparison.Comparison(
        name="depth_suspects",
        title="Batch size and parameters",
        changes=changes,
        at_paper_size=depth_help.AT_PAPER_SIZE | {"rgbd_narrow": ("--width=45",)},
        published={"rgb": "70.62", "rgbd": "67.12"},
        column="the paper: linear, 51 categories, batch 64",
        note=(
            f"Batch {OWN_BATCH[scale]} unless the name says otherwise; all have as many epochs, and the learning rate is "
            "proportional to the batch. (On ImageNet a batch of 64 costs 2.0 points against 256, Chen & He, Table 2.) An epoch "
            "leaves out its last, incomplete batch, so of a small data set a large batch sees less. `rgb_wide` has as many "
            "parameters as two towers, `rgbd_narrow` as many as one. The third suspect, missing depth, is turned in "
            f"`depth_help`: `holes_…`. {depth_help.CHOSEN_ON_COLOUR}"
        ),
        small=depth_help.SMALL,
        paper=depth_help.PAPER,
    )


def _run(arm, batch, scale):
    return arm if batch == OWN_BATCH[scale] else f"{arm}_batch_{batch}"


def main(settings):
    """Trains every run, and writes the report."""
    runs = common.Runs(settings)
    runs.ask(experiment(settings.scale).wanted(settings.scale), settings.seeds, report)
    runs.close()


def report(runs):
    """Writes depth_suspects.md, .png and .json of the runs that exist."""
    made, scale = experiment(runs.settings.scale), runs.settings.scale
    batches = sorted({OWN_BATCH[scale], *BATCHES})
    figure, axes = figures.panels(2, 4.6, 3.6)
    for arm, colour in {"rgb": "black", "rgbd": report_parts.TRAINED_COLOUR}.items():
        of_batch = {batch: runs.measured.get(_run(arm, batch, scale), {}) for batch in batches}
        _line(axes[0], of_batch, color=colour, label=arm)
        of_size = {_parameters(runs, name): runs.measured[name] for name in _sizes(arm) if name in runs.measured}
        _line(axes[1], of_size, color=colour, label=arm)
    axes[0].set_xscale("log", base=2)
    axes[0].set_xticks(batches, batches)
    axes[0].set(xlabel="batch size", ylabel="kNN, %")
    axes[1].set(xlabel="the encoder's parameters, millions", ylabel="kNN, %")
    axes[0].legend(fontsize=8)
    report_parts.write(runs, made.name, made.title, [report_parts.protocol(runs), made.table(runs), made.note], figure)


def _sizes(arm):
    return {"rgb": ("rgb", "rgb_wide"), "rgbd": ("rgbd_narrow", "rgbd")}[arm]


def _parameters(runs, name):
    return next(iter(runs.measured[name].values()))["parameters"] / 1e6


def _line(axes, points, color, label):
    """The mean over seeds as a line, each seed as a dot; points without a run are left out."""
    values = {place: report_parts.top1(measured, "knn") for place, measured in points.items() if measured}
    axes.plot(list(values), [np.mean(seeds) for seeds in values.values()], "-", color=color, label=label)
    for place, seeds in values.items():
        axes.plot([place] * len(seeds), seeds, "o", color=color)


if __name__ == "__main__":
    common.command(main)
