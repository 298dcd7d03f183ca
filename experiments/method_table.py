"""SimSiam beside its rivals, on the same data, encoder, views and steps (Chen & He 2021, Table 4).

python -m experiments.method_table --data_dir=data/cifar10_fifth --workdir=runs/cifar10_fifth --scale=small
"""

from experiments import common, output

NAME = "method_table"
CHANGES = {
    "simsiam": ("--projector_layers=2",),
    "simclr": ("--method=simclr",),
    "mocov2": ("--method=mocov2", "--queue_size=4096"),
    "byol": ("--method=byol",),
    "swav": ("--method=swav",),
    "supervised": ("--method=supervised",),
}
# ImageNet, ResNet-50, linear probe, 100 epochs of pre-training: Chen & He 2021, Table 4
PUBLISHED = {"simsiam": "68.1", "simclr": "66.5", "mocov2": "67.4", "byol": "66.5", "swav": "66.5", "supervised": "–"}


def main(settings):
    """Trains every method, and writes the report."""
    runs = common.Runs(settings)
    wanted = common.variants(settings.scale, CHANGES, common.CIFAR10_SMALL, common.CIFAR10_PAPER)
    runs.ask(wanted, settings.seeds, report)
    runs.close()


def report(runs):
    """Writes method_table.md, .png and .json of what is there."""
    header = ["method", "kNN", "linear", "last loss", "std · √d", "the paper: linear, ImageNet, 100 epochs"]
    rows = [[*_row(name, measured), PUBLISHED[name]] for name, measured in runs.measured.items()]
    for measured in list(runs.measured.values())[:1]:  # the same for all: one encoder, one seed
        before = [output.accuracy(measured, task, "untrained") for task in ("knn", "linear")]
        rows.append(["untrained encoder (random baseline)", *before, "–", "–", "–"])
    text = [output.protocol(runs), output.table(header, rows)]
    figure, axes = output.figure(2, 4.6)
    for one, (task, title) in zip(axes, {"knn": "kNN, %", "linear": "linear, %"}.items(), strict=True):
        output.ladder(one, runs.measured, task)
        one.set_xlabel(title)
    output.write(runs, NAME, "SimSiam and its rivals", text, figure)


def _row(name, measured):
    std = output.last(measured, "std_embedding" if name == "supervised" else "std_projection")
    return [
        name,
        output.accuracy(measured, "knn"),
        output.accuracy(measured, "linear"),
        output.spread(output.last(measured, "loss"), 3),
        output.spread(std, 2),
    ]


if __name__ == "__main__":
    common.command(main)
