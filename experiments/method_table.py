"""SimSiam beside its rivals, on the same data, encoder, views and steps (Chen & He 2021, Table 4).

python -m experiments.method_table --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

from experiments import common, comparison

EXPERIMENT = comparison.Comparison(
    name="method_table",
    title="SimSiam and its rivals",
    changes={
        "simsiam": ("--projector_layers=2",),
        "simclr": ("--method=simclr",),
        "mocov2": ("--method=mocov2", "--queue_size=4096"),
        "byol": ("--method=byol",),
        "swav": ("--method=swav",),
        "supervised": ("--method=supervised",),
    },
    published={"simsiam": "68.1", "simclr": "66.5", "mocov2": "67.4", "byol": "66.5", "swav": "66.5"},
    column="the paper: linear, ImageNet, 100 epochs",
    note=(
        "The last column is Chen & He 2021, Table 4, their own runs of all methods: ResNet-50, SimCLR and SwAV with a third "
        "projector layer, MoCo v2 with a symmetric loss. Here heads and losses are as each method was first published "
        "(docs/methods.md)."
    ),
)

if __name__ == "__main__":
    common.command(EXPERIMENT.main)
