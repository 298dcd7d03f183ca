"""Accuracy of SimSiam's frozen features by the share of training frames that have labels (the CIFAR-10 poster).

python -m experiments.label_fraction --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

from experiments import common, report_parts, tasks
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from keras_simsiam.probes import label_subsets

NAME = "label_fraction"
CHANGES = {"simsiam": ("--projector_layers=2",)}  # the run of the other experiments
FRACTIONS = (0.01, 0.1, 0.2, 0.5, 1.0)
A_CLASS = {"smoke": (1,), "small": (1, 5, 10), "paper": (1, 5, 10)}
PROBES = {"knn": "kNN", "linear": "linear"}
COLOURS = {TRAINED: report_parts.TRAINED_COLOUR, UNTRAINED: report_parts.BASELINE_COLOUR}
NOTE = (
    "With labels for 1 to 100 % of the training frames, and for 1, 5 and 10 frames of each class where all classes have as "
    "many, drawn with classes in turn. In brackets the 95 % Wilson interval, which takes test frames as independent. "
    "The poster has a figure without numbers, and concludes: 10 % of the labels achieve similar results as 100 %."
)


def main(settings):
    """Trains SimSiam where it is missing, and writes the report."""
    runs = common.Runs(settings)
    runs.ask(
        common.variants(settings.scale, CHANGES, common.CIFAR10_SMALL, common.CIFAR10_PAPER), settings.seeds, report
    )
    runs.close()


def report(runs):
    """Writes label_fraction.md, .png and .json of the runs that exist."""
    total, classes = runs.dataset.splits["train"].count, len(runs.dataset.classes)
    fractions = tuple(fraction for fraction in FRACTIONS if round(fraction * total) >= classes)
    per_class = possible(A_CLASS[runs.settings.scale], runs.dataset)
    given = {"label_fractions": fractions, "labels_per_class": per_class, "scaling": "none"}
    found = tasks.of_runs(runs, "label_fraction", given).get("simsiam", {})
    header = ["labels", "number", *(f"{title}, {name}" for title in PROBES.values() for name in COLOURS)]
    budgets = next(iter(found.values()))["labels"] if found else {}
    rows = [
        [budget, str(count), *(_cell(found, probe, name, budget) for probe in PROBES for name in COLOURS)]
        for budget, count in budgets.items()
    ]
    text = [*_protocol(found), report_parts.table(header, rows), NOTE]
    report_parts.write(runs, NAME, "Few labels", text, _figure(found, budgets), {"label_fraction": found})


def possible(per_class, dataset):
    """Those numbers of labels a class that the smallest class has frames for, as far as dataset.json tells.

    Args:
        per_class: a tuple of numbers.
        dataset: the `tfrecords.Dataset`, with a split train.
    """
    smallest = min(dataset.splits["train"].labels.values(), default=max(per_class))
    return tuple(number for number in per_class if number <= smallest)


def _summaries(found, probe, name, budget):
    """`draws.summarise` of each seed of pre-training."""
    return [one["accuracy_by_labels"][probe][name][budget] for one in found.values()]


def _cell(found, probe, name, budget):
    """Of one run the mean ± deviation over draws of labels, of all labels the interval; of several that over runs."""
    summaries = _summaries(found, probe, name, budget)
    if len(summaries) > 1:
        return report_parts.spread([100 * one["mean"] for one in summaries])
    only = summaries[0]
    return (
        report_parts.within(100 * only["mean"], only["interval"]) if only["std"] is None else label_subsets.cell(only)
    )


def _protocol(found):
    if not found:
        return ["No run of this experiment is complete yet."]
    text = next(iter(found.values()))["protocol"]
    several = " Of several runs, mean ± standard deviation of their means (how many)." if len(found) > 1 else ""
    return [f"Accuracy in % on the split test, frozen encoder: {text}.{several}"]


def _figure(found, budgets):
    figure, axes = figures.panels(2, 4.6, 3.6)
    for one, (probe, title) in zip(axes, PROBES.items(), strict=True):
        for name, colour in COLOURS.items() if found else ():
            summaries = [_summaries(found, probe, name, budget) for budget in budgets]
            for index in range(len(found)):
                means = [100 * seeds[index]["mean"] for seeds in summaries]
                deviations = [100 * (seeds[index]["std"] or 0) for seeds in summaries]
                label = None if index else name
                one.errorbar(list(budgets.values()), means, deviations, fmt="o-", capsize=3, color=colour, label=label)
        one.set_xscale("log")
        one.set(xlabel="training frames with labels", ylabel="top-1 accuracy, %", title=title)
        if found:
            one.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    common.command(main)
