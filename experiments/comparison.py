"""What the experiments that put runs side by side share: a row a run beside the paper's number, and a ladder of accuracies."""

import dataclasses

from experiments import common, report_parts
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.encoders.compared import UNTRAINED

HEADER = ("run", "parameters", "kNN", "untrained", "linear", "untrained", "last loss", "std · √d")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs that differ in a few flags.

    Attributes:
        name: of the experiment.
        title: of its page.
        changes: dict from a run's name to the flags in which it differs from the others.
        published: dict from a run's name to the paper's number, where there is one.
        column: what those numbers are.
        note: Markdown below the table.
        small, paper: the flags that all share, at those scales.
        at_paper_size: `changes` that are others at the scale paper.
    """

    name: str
    title: str
    changes: dict
    published: dict
    column: str
    note: str
    small: tuple = common.CIFAR10_SMALL
    paper: tuple = common.CIFAR10_PAPER
    at_paper_size: dict = dataclasses.field(default_factory=dict)

    def wanted(self, scale):
        """The flags of each run at a scale, by its name."""
        changes = self.changes | (self.at_paper_size if scale == "paper" else {})
        return common.variants(scale, changes, self.small, self.paper)

    def main(self, settings):
        """Trains every run, and writes the report."""
        runs = common.Runs(settings)
        runs.ask(self.wanted(settings.scale), settings.seeds, self.report)
        runs.close()

    def report(self, runs):
        """Writes NAME.md, .png and .json of the runs that exist."""
        figure, axes = figures.panels(2, 4.6, 1.6 + 0.26 * max(6, len(runs.measured)))
        for one, (task, title) in zip(axes, {"knn": "kNN, %", "linear": "linear, %"}.items(), strict=True):
            report_parts.ladder(one, runs.measured, task)
            one.set_xlabel(title)
        report_parts.write(
            runs, self.name, self.title, [report_parts.protocol(runs), self.table(runs), self.note], figure
        )

    def table(self, runs):
        """The Markdown table of the runs that exist."""
        rows = [[*_row(name, measured), self.published.get(name, "–")] for name, measured in runs.measured.items()]
        return report_parts.table([*HEADER, self.column], rows)


def _row(name, measured):
    # of supervised pre-training, which has no projection, the embedding's
    std = report_parts.last(measured, "std_projection") or report_parts.last(measured, "std_embedding")
    accuracies = []
    for task in ("knn", "linear"):
        accuracies += [
            report_parts.accuracy(measured, task),
            report_parts.spread(report_parts.top1(measured, task, UNTRAINED)),
        ]
    size = f"{next(iter(measured.values()))['parameters'] / 1e6:.2f} M"
    return [
        name,
        size,
        *accuracies,
        report_parts.spread(report_parts.last(measured, "loss"), 3),
        report_parts.spread(std, 2),
    ]
