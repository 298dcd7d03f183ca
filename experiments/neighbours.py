"""Test frames and the training frames that SimSiam finds nearest to them (the CIFAR-10 poster, Figure 4).

python -m experiments.neighbours --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

import os

from experiments import common, label_fraction, report_parts, tasks
from keras_simsiam.probes import scores

NAME = "neighbours"
NOTE = (
    "A share is of all test frames; chance is the share of a class. The nearest's share of one run has its 95 % Wilson "
    "interval, which takes frames as independent. The pictures are of the first run, the test frames in them drawn with "
    "classes in turn, whether the encoder does well on them or not."
)


def main(settings):
    """Trains SimSiam where it is missing, and writes the report."""
    runs = common.Runs(settings)
    wanted = common.variants(settings.scale, label_fraction.CHANGES, common.CIFAR10_SMALL, common.CIFAR10_PAPER)
    runs.ask(wanted, settings.seeds, report)
    runs.close()


def report(runs):
    """Writes neighbours.md, .png and .json of the runs that exist."""
    found = tasks.of_runs(runs, NAME, {"scaling": "none"}).get("simsiam", {})
    if not found:
        report_parts.write(runs, NAME, "Nearest neighbours", ["No run of this experiment is complete yet."], {})
        return
    seed, first = next(iter(found.items()))
    rows = []
    for encoder in first["precision"]:
        of_nearest, of_all = (
            [100 * one[key][encoder] for one in found.values()] for key in ("precision_of_nearest", "precision")
        )
        nearest = _nearest(of_nearest, runs.dataset.splits["test"].count)
        rows.append([encoder, nearest, report_parts.spread(of_all)])
    folder = os.path.join(runs.folder("simsiam", seed), "evaluation", NAME)
    pictures = {
        f"Nearest neighbours, {encoder}": os.path.join(folder, file)
        for encoder, file in zip(first["precision"], first["files"], strict=True)
    }
    text = [f"Neighbours by {first['protocol']}.", report_parts.table(first["table"][0], rows), NOTE]
    report_parts.write(runs, NAME, "Nearest neighbours", text, pictures, {NAME: found})


def _nearest(shares, frames):
    """The cell of the nearest neighbour, one answer a frame: the share of one run with its interval."""
    if len(shares) > 1:
        return report_parts.spread(shares)
    return report_parts.within(shares[0], scores.wilson_interval(shares[0] / 100, frames))


if __name__ == "__main__":
    common.command(main)
