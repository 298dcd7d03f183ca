"""SimSiam with and without its stop-gradient: loss, spread and kNN while training (Chen & He 2021, Figure 2).

python -m experiments.stop_gradient --data_dir=data/cifar10 --workdir=runs/cifar10 --scale=small
"""

from experiments import common, output
from keras_simsiam.evaluation import panels

NAME = "stop_gradient"
CHANGES = {"stop_gradient_on": (), "stop_gradient_off": ("--stop_gradient=false",)}
SMALL = ("--flagfile=recipes/cifar10_narrow.flags",)
PAPER = (*common.CIFAR10_PAPER, "--projector_layers=2")
STYLES = {
    "stop_gradient_on": {"color": output.TRAINED_COLOUR, "linestyle": "-"},
    "stop_gradient_off": {"color": output.BASELINE_COLOUR, "linestyle": "--"},
}
PUBLISHED = {"stop_gradient_on": "67.7 ± 0.1", "stop_gradient_off": "0.1"}  # ImageNet linear, 100 epochs


def main(settings):
    """Trains the pair, and writes the report."""
    runs = common.Runs(settings)
    runs.ask(common.variants(settings.scale, CHANGES, SMALL, PAPER), settings.seeds, report)
    runs.close()


def report(runs):
    """Writes stop_gradient.md, .png and .json of what is there."""
    header = ["stop-gradient", "last loss", "last std · √d", "the prediction's", "kNN", "kNN, untrained", "linear"]
    rows = [[*_row(name, measured), PUBLISHED[name]] for name, measured in runs.measured.items()]
    note = (
        "A collapsed encoder's output is constant: loss −1, kNN at chance "
        f"({100 / len(runs.info.classes):.0f} %), the prediction's std 0. The projection's falls to about 2/√batch: its "
        "BatchNorm wants variance in each batch, and one image apart from all others is enough. The last column is ImageNet "
        "at 100 epochs, Chen & He 2021, Figure 2."
    )
    text = [output.protocol(runs), output.table([*header, "the paper: linear, ImageNet"], rows), note]
    output.write(runs, NAME, "SimSiam with and without stop-gradient", text, _figure(runs))


def _row(name, measured):
    return [
        name.removeprefix("stop_gradient_"),
        output.spread(output.last(measured, "loss"), 3),
        output.spread(output.last(measured, "std_projection"), 3),
        output.spread(output.last(measured, "std_prediction"), 3),
        output.accuracy(measured, "knn"),
        output.accuracy(measured, "knn", "untrained"),
        output.accuracy(measured, "linear"),
    ]


def _figure(runs):
    figure, axes = panels.make(len(output.CURVES), 3.6)
    for one, (key, title) in zip(axes, output.CURVES.items(), strict=True):
        for name, measured in runs.measured.items():
            output.curves(one, measured, key, 100 if key == "knn" else 1, **STYLES[name])
        one.set(xlabel="epoch", title=title)
    for name, measured in runs.measured.items():
        output.curves(axes[1], measured, "std_prediction", 1, **STYLES[name], linewidth=0.7)
    axes[1].set_title("std · √d: projection, prediction (thin)")
    axes[2].axhline(100 / len(runs.info.classes), color="0.5", linestyle=":", label="chance")
    for name, style in STYLES.items():
        axes[2].plot([], [], label=name.replace("stop_gradient_", "stop-gradient "), **style)
    axes[2].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    common.command(main)
