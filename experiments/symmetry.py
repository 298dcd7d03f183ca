"""SimSiam with the symmetric and the asymmetric loss (Chen & He 2021, section 4.6).

python -m experiments.symmetry --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

from experiments import common, comparison

ASYMMETRIC = ("--projector_layers=2", "--symmetric=false")

EXPERIMENT = comparison.Comparison(
    name="symmetry",
    title="The symmetric loss",
    changes={
        "simsiam": ("--projector_layers=2",),  # the run of the other experiments
        "asymmetric": ASYMMETRIC,
        "asymmetric_twice": (*ASYMMETRIC, "--epochs=40"),
    },
    at_paper_size={"asymmetric_twice": (*ASYMMETRIC, "--epochs=1600")},
    published={"simsiam": "68.1", "asymmetric": "64.8", "asymmetric_twice": "67.3"},
    column="the paper: linear, ImageNet, 100 epochs",
    note=(
        "The asymmetric loss predicts the second view from the first alone: half as many predictions a step. "
        "`asymmetric_twice` makes as many as `simsiam` in twice the epochs; the paper's 67.3 made them of two pairs of views "
        "of each image a step."
    ),
)

if __name__ == "__main__":
    common.command(EXPERIMENT.main)
