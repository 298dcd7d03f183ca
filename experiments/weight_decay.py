"""The weight decay, from none to too much (the CIFAR-10 poster, Figure 5).

python -m experiments.weight_decay --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

from experiments import common, sweep

EXPERIMENT = sweep.Sweep(
    name="weight_decay",
    title="Weight decay",
    axis="weight decay",
    changes={
        "simsiam": (),  # 5e-4: the run of the other experiments
        "weight_decay_0": ("--weight_decay=0",),
        "weight_decay_1e-2": ("--weight_decay=1e-2",),
    },
    values={"weight_decay_0": "0", "simsiam": "5e-4", "weight_decay_1e-2": "1e-2"},
    published="The poster has a figure without numbers, and concludes: too small hurts, too large lets the model collapse.",
)

if __name__ == "__main__":
    common.command(EXPERIMENT.main)
