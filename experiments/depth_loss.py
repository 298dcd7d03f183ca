"""The loss of learning depth from one image against the epoch, with the band over trials (Ray, Figure 1).

python -m experiments.depth_loss --data_dir=data/washington --depth_data_dir=data/osd --workdir=runs/washington
"""

import numpy as np

from experiments import depth_table, report_parts
from keras_simsiam.dense.monodepth import pictures
from keras_simsiam.evaluation import figures

NAME, TITLE = "depth_loss", "Loss of learning depth"
SPLITS = {"train": "training loss, m²", "validation": "validation loss, m²"}
# as in the paper: classification solid, contrastive dashed
STYLES = {"contrastive": "--", "classification": "-", "random": ":"}
COLOURS = {
    "probe": report_parts.BASELINE_COLOUR,
    "switch": report_parts.OTHER_COLOUR,
    "finetune": report_parts.TRAINED_COLOUR,
}


def main(settings, depth_data_dir=None):
    """Trains what is missing of depth_table's runs, and writes the report."""
    depth_table.ask(settings, depth_data_dir, report)


def report(runs, dataset):
    """Writes depth_loss.md, .png and .json of the runs that exist."""
    found = depth_table.evaluated(runs, dataset)
    measured = depth_table.configurations(found)
    splits = [split for split in SPLITS if any(one["histories"][split][0] for one in measured.values())]
    header = ["encoder, strategy", *(f"{SPLITS[split]}: {when}" for split in splits for when in ("lowest", "last"))]
    rows = [
        [name, *(cell for split in splits for cell in _ends(one["histories"][split]))] for name, one in measured.items()
    ]
    note = (
        "A line is the median over trials, the band around it goes from the lowest to the highest. Without a split `val` there "
        "is no validation loss; that of the test split is not looked at while training."
    )
    text = [*depth_table.protocol(found, dataset), report_parts.table(header, rows), note]
    report_parts.write(runs, NAME, TITLE, text, _figure(measured, splits), depth_table.raw(found, dataset))


def _ends(trials):
    lowest, last = [min(losses) for losses in trials], [losses[-1] for losses in trials]
    return report_parts.spread(lowest, 4), report_parts.spread(last, 4)


def _figure(measured, splits):
    figure, axes = figures.panels(max(1, len(splits)), 6.0, 3.8)
    for one, split in zip(axes, splits, strict=False):
        for name, found in measured.items():
            encoder, strategy = name.split()[0], name.split()[-1]
            losses = np.array(found["histories"][split])
            pictures.band(one, losses, label=name, color=COLOURS[strategy], linestyle=STYLES[encoder])
        one.set(yscale="log", xlabel="epoch", title=SPLITS[split])
    if splits:
        axes[0].legend(fontsize=7)
    return figure


if __name__ == "__main__":
    depth_table.command(main)
