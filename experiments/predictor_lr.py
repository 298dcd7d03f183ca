"""The predictor's learning rate as a factor of the encoder's (the CIFAR-10 poster, Figure 3).

python -m experiments.predictor_lr --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

from experiments import common, sweep

EXPERIMENT = sweep.Sweep(
    name="predictor_lr",
    title="The predictor's learning rate",
    axis="predictor's learning rate / encoder's",
    changes={
        "simsiam": (),  # factor 1: the run of the other experiments
        "predictor_lr_0.1": ("--predictor_lr=0.1",),
        "predictor_lr_10": ("--predictor_lr=10",),
    },
    values={"predictor_lr_0.1": "0.1", "simsiam": "1", "predictor_lr_10": "10"},
    published="The poster has a figure without numbers, and concludes: a smaller one might give better results.",
)

if __name__ == "__main__":
    common.command(EXPERIMENT.main)
