"""SimSiam as alternating optimization: targets that stand still for k steps, and a moving average (Chen & He, section 5.2).

python -m experiments.em --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

import dataclasses

from experiments import common, comparison
from tfrecords import Dataset

LAYERS = "--projector_layers=2"

EXPERIMENT = comparison.Comparison(
    name="em",
    title="SimSiam as alternating optimization",
    changes={
        "simsiam": (LAYERS,),  # k = 1: the run of the other experiments
        "alternation_10": (LAYERS, "--alternation=10"),
        "simsiam_average": (LAYERS, "--method=simsiam_average"),
    },
    at_paper_size={"alternation_100": (LAYERS, "--alternation=100")},
    published={
        "simsiam": "68.1",
        "alternation_10": "68.7",
        "alternation_100": "68.9",
        "alternation_epoch": "67.0",
        "simsiam_average": "55.0",
    },
    column="the paper: linear, ImageNet, 100 epochs",
    note=(
        "`alternation_k`: the targets of k steps come from the weights at the first of them; `simsiam` is k = 1. An epoch at "
        "the scale small has fewer than 100 steps, so k = 100 is left to the scale paper. `simsiam_average` has no predictor; "
        "without the moving average either, the paper's run collapses (0.1)."
    ),
)


def main(settings):
    """Trains every run, and writes the report; how many steps an epoch has, the data set says."""
    dataclasses.replace(EXPERIMENT, changes=changes(settings)).main(settings)


def changes(settings):
    """The runs with one whose targets stand still for an epoch of this data set.

    Args:
        settings: a `common.Settings`.

    Raises:
        UserError: there is no such data set, or it has no split train.
    """
    frames = Dataset(settings.data_dir).split("train").count
    batch = 512 if settings.scale == "paper" else 128
    return EXPERIMENT.changes | {"alternation_epoch": (LAYERS, f"--alternation={max(1, frames // batch)}")}


if __name__ == "__main__":
    common.command(main)
