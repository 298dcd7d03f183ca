"""The pre-training loss of RGB and RGB-D against the epoch (Zhu, Figure 4), of the runs of table1.

python -m experiments.pretrain_loss --data_dir=data/washington --workdir=runs/washington --scale=small --seeds=0,1,2
"""

from experiments import common, report_parts, table1
from keras_simsiam.evaluation import figures

NAME = "pretrain_loss"
# what Zhu, section 5, says of Figure 4; it has no numbers beside these
PUBLISHED = {"rgb": "falls slowly to the end", "all_transforms": "about −0.95 within 50 epochs"}
COLOURS = {"rgb": "black", "all_transforms": report_parts.OTHER_COLOUR, "rgbd": report_parts.TRAINED_COLOUR}


def main(settings):
    """Trains what is missing of table1's runs, and writes the report."""
    runs = common.Runs(settings)
    runs.ask(table1.EXPERIMENT.wanted(settings.scale), settings.seeds, report)
    runs.close()


def report(runs):
    """Writes pretrain_loss.md, .png and .json of the runs that exist."""
    header = ["run", "loss after a quarter", "half", "all epochs", "kNN", "linear", "the paper's loss"]
    rows = [[*_row(name, measured), PUBLISHED.get(name, "–")] for name, measured in runs.measured.items()]
    note = (
        "The paper takes the fast fall of RGB-D's loss for overfitting. A lower loss need not be a better encoder: the "
        "accuracies beside it say. A collapsed run would have loss −1 and std 0."
    )
    report_parts.write(
        runs,
        NAME,
        "Pre-training loss",
        [report_parts.protocol(runs), report_parts.table(header, rows), note],
        _figure(runs),
    )


def _row(name, measured):
    losses = [[line["loss"] for line in found["history"]] for found in measured.values()]
    at = [
        report_parts.spread([series[-(-len(series) * quarters // 4) - 1] for series in losses], 3)
        for quarters in (1, 2, 4)
    ]
    return [name, *at, report_parts.accuracy(measured, "knn"), report_parts.accuracy(measured, "linear")]


def _figure(runs):
    figure, axes = figures.panels(len(report_parts.CURVES), 3.6)
    for one, (key, title) in zip(axes, report_parts.CURVES.items(), strict=True):
        for name, measured in runs.measured.items():
            report_parts.curves(one, measured, key, 100 if key == "knn" else 1, color=COLOURS[name], label=name)
        one.set(xlabel="epoch", title=title)
    if runs.measured:
        axes[0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    common.command(main)
