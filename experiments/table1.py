"""RGB against RGB-D, the RGB-D paper's main result (Zhu, Table 1), by kNN and by a linear probe.

python -m experiments.table1 --data_dir=data/washington --workdir=runs/washington --scale=small --seeds=0,1,2
"""

from experiments import common, comparison, depth_help

EXPERIMENT = comparison.Comparison(
    name="table1",
    title="RGB and RGB-D",
    changes={name: depth_help.CHANGES[name] for name in ("rgb", "rgbd", "all_transforms")},
    published=depth_help.PUBLISHED,
    column="the paper: linear, 51 categories",
    note=(
        "`rgb`: the paper's baseline; `rgbd`: RGB-D with spatial transforms alone on HHA; `all_transforms`: RGB-D with colour "
        "jitter and grayscale on HHA too. The last column is Zhu, Table 1: about 35,000 training frames of 300 objects. The "
        "scale small has other batches and learning rates than the paper, as its runs are so short; the commands have them. "
        f"{depth_help.CHOSEN_ON_COLOUR} Whether depth can be made to help, `depth_help` asks, with these runs among its own."
    ),
    small=depth_help.SMALL,
    paper=depth_help.PAPER,
)

if __name__ == "__main__":
    common.command(EXPERIMENT.main)
