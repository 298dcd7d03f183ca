"""SimSiam with and without its stop-gradient: loss, spread and kNN while training (Chen & He 2021, Figure 2).

python -m experiments.stop_gradient --data_dir=data/cifar10 --workdir=runs/cifar10 --scale=small
"""

from experiments import common, report_parts
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.encoders.compared import UNTRAINED

NAME = "stop_gradient"
CHANGES = {"stop_gradient_on": (), "stop_gradient_off": ("--stop_gradient=false",)}
SMALL = ("--flagfile=recipes/cifar10_narrow.flags",)
PAPER = (*common.CIFAR10_PAPER, "--projector_layers=2")
STYLES = {
    "stop_gradient_on": {"color": report_parts.TRAINED_COLOUR, "linestyle": "-"},
    "stop_gradient_off": {"color": report_parts.BASELINE_COLOUR, "linestyle": "--"},
}
PUBLISHED = {"stop_gradient_on": "67.7 ± 0.1", "stop_gradient_off": "0.1"}  # ImageNet linear, 100 epochs


def main(settings):
    """Trains the pair, and writes the report."""
    runs = common.Runs(settings)
    runs.ask(common.variants(settings.scale, CHANGES, SMALL, PAPER), settings.seeds, report)
    runs.close()


def report(runs):
    """Writes stop_gradient.md, .png and .json of the runs that exist."""
    header = ["stop-gradient", "last loss", "last std · √d", "the prediction's", "kNN", "kNN, untrained", "linear"]
    rows = [[*_row(name, measured), PUBLISHED[name]] for name, measured in runs.measured.items()]
    note = (
        "A collapsed encoder's output is constant: loss −1, kNN at chance "
        f"({100 / len(runs.dataset.classes):.0f} %), the prediction's std 0. The projection's falls to about 2/√batch: its "
        "BatchNorm wants variance in each batch, and one image apart from all others is enough. The last column is ImageNet "
        "at 100 epochs, Chen & He 2021, Figure 2."
    )
    text = [report_parts.protocol(runs), report_parts.table([*header, "the paper: linear, ImageNet"], rows), note]
    report_parts.write(runs, NAME, "SimSiam with and without stop-gradient", text, _figure(runs))


def _row(name, measured):
    return [
        name.removeprefix("stop_gradient_"),
        report_parts.spread(report_parts.last(measured, "loss"), 3),
        report_parts.spread(report_parts.last(measured, "std_projection"), 3),
        report_parts.spread(report_parts.last(measured, "std_prediction"), 3),
        report_parts.accuracy(measured, "knn"),
        report_parts.accuracy(measured, "knn", UNTRAINED),
        report_parts.accuracy(measured, "linear"),
    ]


def _figure(runs):
    figure, axes = figures.panels(len(report_parts.CURVES), 3.6)
    for one, (key, title) in zip(axes, report_parts.CURVES.items(), strict=True):
        for name, measured in runs.measured.items():
            report_parts.curves(one, measured, key, 100 if key == "knn" else 1, **STYLES[name])
        one.set(xlabel="epoch", title=title)
    for name, measured in runs.measured.items():
        report_parts.curves(axes[1], measured, "std_prediction", 1, **STYLES[name], linewidth=0.7)
    axes[1].set_title("std · √d: projection, prediction (thin)")
    axes[2].axhline(100 / len(runs.dataset.classes), color="0.5", linestyle=":", label="chance")
    for name, style in STYLES.items():
        axes[2].plot([], [], label=name.replace("stop_gradient_", "stop-gradient "), **style)
    axes[2].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    common.command(main)
