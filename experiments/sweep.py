"""What the experiments that turn one flag share: a run a value, and the untrained encoder as the line to beat."""

import dataclasses

from experiments import common, report_parts
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.encoders.compared import UNTRAINED


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One flag's values on SimSiam.

    Attributes:
        name: of the experiment.
        title: of its page.
        axis: what is varied.
        changes: dict from a run's name to the flags in which it differs from the run `simsiam`.
        values: dict from a run's name to its value as text, in order.
        published: a sentence on what was published.
    """

    name: str
    title: str
    axis: str
    changes: dict
    values: dict
    published: str

    def main(self, settings):
        """Trains every point, and writes the report."""
        runs = common.Runs(settings)
        changes = {run: ("--projector_layers=2", *own) for run, own in self.changes.items()}
        wanted = common.variants(settings.scale, changes, common.CIFAR10_SMALL, common.CIFAR10_PAPER)
        runs.ask(wanted, settings.seeds, self.report)
        runs.close()

    def report(self, runs):
        """Writes NAME.md, .png and .json of the runs that exist."""
        points = {value: runs.measured[name] for name, value in self.values.items() if name in runs.measured}
        rows = [_row(value, measured) for value, measured in points.items()]
        for measured in list(points.values())[:1]:  # the same for all: one encoder, one seed
            before = [report_parts.accuracy(measured, task, UNTRAINED) for task in ("knn", "linear")]
            rows.append(["untrained encoder (random baseline)", *before, *["–"] * 4])
        figure, axes = figures.panels(1, 5.2)
        report_parts.sweep(axes[0], points, {"knn": "kNN", "linear": "linear"})
        axes[0].set_xlabel(self.axis)
        header = [self.axis, "kNN", "linear", "last loss", "std · √d", "effective rank, projection", "embedding"]
        text = [report_parts.protocol(runs), report_parts.table(header, rows), self.published]
        report_parts.write(runs, self.name, self.title, text, figure)


def _row(value, measured):
    return [
        value,
        report_parts.accuracy(measured, "knn"),
        report_parts.accuracy(measured, "linear"),
        report_parts.spread(report_parts.last(measured, "loss"), 3),
        report_parts.spread(report_parts.last(measured, "std_projection"), 2),
        # a collapse to few dimensions leaves loss and spread alone
        report_parts.spread(report_parts.last(measured, "effective_rank_projection")),
        report_parts.spread(report_parts.last(measured, "effective_rank")),
    ]
