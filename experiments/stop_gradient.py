"""SimSiam with and without its stop-gradient: loss, spread and kNN while training (Chen & He 2021, Figure 2).

python -m experiments.stop_gradient --data_dir=data/cifar10 --workdir=runs/cifar10 --scale=small
"""

from experiments import common, output
from keras_simsiam.evaluation import panels

NAME = "stop_gradient"
CHANGES = {"stop_gradient_on": (), "stop_gradient_off": ("--stop_gradient=false",)}
SMALL = ("--flagfile=recipes/cifar10_narrow.flags",)
PAPER = (*common.CIFAR10_PAPER, "--projector_layers=2")
PUBLISHED = {"stop_gradient_on": "67.7 ± 0.1", "stop_gradient_off": "0.1"}  # ImageNet linear, 100 epochs


def main(settings):
    """Trains the pair, and writes the report."""
    runs = common.Runs(settings)
    runs.ask(common.variants(settings.scale, CHANGES, SMALL, PAPER), settings.seeds, report)
    runs.close()


def report(runs):
    """Writes stop_gradient.md, .png and .json of what is there."""
    header = ["stop-gradient", "last loss", "last std · √d", "kNN", "kNN, untrained", "linear"]
    rows = [[*_row(name, measured), PUBLISHED[name]] for name, measured in runs.measured.items()]
    note = (
        "A collapsed encoder's output is constant: loss −1, std 0, kNN at chance "
        f"({100 / len(runs.info.classes):.0f} %). The last column is ImageNet at 100 epochs, Chen & He 2021, Figure 2."
    )
    text = [output.protocol(runs), output.table([*header, "the paper: linear, ImageNet"], rows), note]
    output.write(runs, NAME, "SimSiam with and without stop-gradient", text, _figure(runs))


def _row(name, measured):
    return [
        name.removeprefix("stop_gradient_"),
        output.spread(output.last(measured, "loss"), 3),
        output.spread(output.last(measured, "std_projection"), 3),
        output.accuracy(measured, "knn"),
        output.accuracy(measured, "knn", "untrained"),
        output.accuracy(measured, "linear"),
    ]


def _figure(runs):
    figure, axes = panels.make(len(output.CURVES), 3.6)
    colours = {"stop_gradient_on": output.TRAINED_COLOUR, "stop_gradient_off": output.BASELINE_COLOUR}
    for one, (key, title) in zip(axes, output.CURVES.items(), strict=True):
        for name, measured in runs.measured.items():
            style = "-" if name == "stop_gradient_on" else "--"
            output.curves(one, measured, key, 100 if key == "knn" else 1, linestyle=style, color=colours[name])
        one.set(xlabel="epoch", title=title)
    axes[2].axhline(100 / len(runs.info.classes), color="0.5", linestyle=":", label="chance")
    for name, style in (("stop_gradient_on", "-"), ("stop_gradient_off", "--")):
        axes[2].plot([], [], style, color=colours[name], label=name.replace("stop_gradient_", "stop-gradient "))
    axes[2].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    common.command(main)
