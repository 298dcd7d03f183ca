"""What the experiments that put runs side by side share: a row a run beside the paper's number, and a ladder of accuracies."""

import dataclasses

from experiments import common, output
from keras_simsiam.evaluation import panels

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
        """Writes NAME.md, .png and .json of what is there."""
        figure, axes = panels.make(2, 4.6, 1.6 + 0.26 * max(6, len(runs.measured)))
        for one, (task, title) in zip(axes, {"knn": "kNN, %", "linear": "linear, %"}.items(), strict=True):
            output.ladder(one, runs.measured, task)
            one.set_xlabel(title)
        output.write(runs, self.name, self.title, [output.protocol(runs), self.table(runs), self.note], figure)

    def table(self, runs):
        """The Markdown table of what is there."""
        rows = [[*_row(name, measured), self.published.get(name, "–")] for name, measured in runs.measured.items()]
        return output.table([*HEADER, self.column], rows)


def _row(name, measured):
    # of supervised pre-training, which has no projection, the embedding's
    std = output.last(measured, "std_projection") or output.last(measured, "std_embedding")
    accuracies = []
    for task in ("knn", "linear"):
        accuracies += [output.accuracy(measured, task), output.spread(output.top1(measured, task, "untrained"))]
    size = f"{next(iter(measured.values()))['parameters'] / 1e6:.2f} M"
    return [name, size, *accuracies, output.spread(output.last(measured, "loss"), 3), output.spread(std, 2)]
