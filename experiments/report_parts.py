"""What an experiment writes: NAME.md, NAME.png and NAME.json in its workdir."""

import json
import os
import shlex
import shutil
import sys

import numpy as np
from matplotlib.figure import Figure

from experiments import measure
from keras_simsiam.core import files
from keras_simsiam.evaluation import figures
from keras_simsiam.evaluation.encoders.compared import TRAINED, UNTRAINED
from keras_simsiam.evaluation.evaluate import versions

TRAINED_COLOUR, BASELINE_COLOUR, OTHER_COLOUR = figures.COLOURS
CURVES = {  # of metrics.jsonl, by what they are called
    "loss": "loss (−1 is its minimum)",
    "std_projection": "std · √d of the projection",
    "knn": "kNN, % (while training)",
}


def write(runs, name, title, text, figure, more=None):
    """Writes what there is of an experiment's runs (`save`), with those that are missing, the commands and the measurements.

    Args:
        runs: the `common.Runs`.
        name: of the experiment.
        title: of the page.
        text: Markdown, a list of blocks.
        figure: a matplotlib figure, or pictures as `save` takes them.
        more: dict of JSON values beside the measurements.
    """
    tail = [_missing(runs), _provenance(runs)]
    pictures = figure if isinstance(figure, dict) else {title: figure}
    save(runs.settings, runs.dataset, name, title, text, pictures, _raw(runs) | (more or {}), tail)


def save(settings, dataset, name, title, text, pictures, raw, tail=()):
    """Writes NAME.md, NAME.png (NAME_2.png, …) and NAME.json, over those of an earlier call; each appears whole.

    Args:
        settings: the `common.Settings`.
        dataset: the `tfrecords.Dataset`.
        name: of the experiment.
        title: of the page.
        text: Markdown above the pictures, a list of blocks.
        pictures: dict from a title to a matplotlib figure, or to the path of a PNG file.
        raw: dict of JSON values beside the command, the data's SHA-256 and the versions.
        tail: Markdown below the pictures, a list of blocks.

    Raises:
        UserError: they cannot be written.
    """
    with measure.writing(f"--workdir={settings.workdir}"):
        os.makedirs(settings.workdir, exist_ok=True)
        _save(settings, dataset, name, title, text, pictures, raw, tail)
    print(f"written: {os.path.join(settings.workdir, name)}.md, .png, .json", flush=True)


def _save(settings, dataset, name, title, text, pictures, raw, tail):
    base = os.path.join(settings.workdir, name)
    shown = []
    for number, (caption, picture) in enumerate(pictures.items(), 1):
        file = f"{name}.png" if number == 1 else f"{name}_{number}.png"
        _picture(picture, os.path.join(settings.workdir, file))
        shown.append(f"![{caption}]({file})")
    blocks = [f"# {title}", *text, *shown, *tail]
    files.write_text(base + ".md", "\n\n".join(block for block in blocks if block) + "\n")
    head = {
        "experiment": name,
        "command": shlex.join([os.path.basename(sys.executable), "-m", f"experiments.{name}", *sys.argv[1:]]),
        "scale": settings.scale,
        "data": {"folder": dataset.path, "sha256": dataset.checksum},
        "versions": versions(),
    }
    files.write_text(base + ".json", json.dumps(head | raw, indent=1) + "\n")


def table(header, rows):
    """A Markdown table.

    Args:
        header: a list of strings.
        rows: lists of as many strings.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def top1(measured, task, encoder=TRAINED, condition="clean"):
    """The accuracies of a variant's seeds, in percent: a list.

    Args:
        measured: dict from seed to measurement; may be empty.
        task: `knn` or `linear`.
        encoder: TRAINED or UNTRAINED.
        condition: one that was measured.
    """
    return [100 * _summary(found, task, encoder, condition)["top1"] for found in measured.values()]


def _summary(found, task, encoder, condition):
    return found["robustness"]["accuracy_by_condition"][task][encoder][condition]


def accuracy(measured, task, encoder=TRAINED, condition="clean"):
    """A table's cell, in percent: one seed with its 95 % Wilson interval, or the mean ± standard deviation of several."""
    values = top1(measured, task, encoder, condition)
    if len(values) != 1:
        return spread(values)
    return within(values[0], _summary(next(iter(measured.values())), task, encoder, condition)["interval"])


def within(value, interval):
    """A table's cell: a value in percent with its interval, which is in 0..1."""
    low, high = interval
    return f"{value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def spread(values, digits=1):
    """A table's cell: the value of one seed, mean ± standard deviation of several, a dash of none."""
    if len(values) == 0:
        return "–"
    deviation = f" ± {np.std(values, ddof=1):.{digits}f} ({len(values)})" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def last(measured, key):
    """The last value of a number of metrics.jsonl of each seed that has it: a list."""
    series = ([line[key] for line in found["history"] if line.get(key) is not None] for found in measured.values())
    return [values[-1] for values in series if values]


def ladder(axes, rows, task):
    """Dots of each variant on a line of its own: its seeds, their mean, and the untrained encoder.

    Args:
        axes: of matplotlib.
        rows: dict from a variant to its measurements by seed.
        task: `knn` or `linear`.
    """
    for place, measured in enumerate(rows.values()):
        values, before = top1(measured, task), top1(measured, task, UNTRAINED)
        axes.plot(values, [place] * len(values), "o", color=TRAINED_COLOUR, alpha=0.5, label="a seed, trained")
        axes.plot(np.mean(values), place, "|", color=TRAINED_COLOUR, markersize=16, markeredgewidth=2)
        axes.plot(before, [place] * len(before), "x", color=BASELINE_COLOUR, label="the same untrained")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    if rows:
        entries = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        axes.legend(entries.values(), entries.keys(), fontsize=7)


def curves(axes, measured, key, factor, **style):
    """A number of metrics.jsonl against the epoch, a line a seed.

    Args:
        axes: of matplotlib.
        measured: measurements by seed.
        key: in metrics.jsonl; epochs without it are passed over.
        factor: what its values are multiplied by.
        style: of the lines; a `label` names the first alone.
    """
    for found in measured.values():
        lines = [line for line in found["history"] if line.get(key) is not None]
        axes.plot([line["epoch"] for line in lines], [factor * line[key] for line in lines], **style)
        style.pop("label", None)


def sweep(axes, points, tasks):
    """Accuracy over the values of one flag, and the untrained encoder's as a line.

    Args:
        axes: of matplotlib.
        points: dict from the value as text to measurements by seed.
        tasks: dict from `knn` and `linear` to their titles.
    """
    for (task, title), colour in zip(tasks.items(), (TRAINED_COLOUR, OTHER_COLOUR), strict=True):
        values = [top1(measured, task) for measured in points.values()]
        axes.plot([np.mean(seeds) for seeds in values], "-", color=colour, label=title)
        for place, seeds in enumerate(values):
            axes.plot([place] * len(seeds), seeds, "o", color=colour)
        before = [value for measured in points.values() for value in top1(measured, task, UNTRAINED)]
        if before:
            style = {"color": colour, "linestyle": "--", "linewidth": 1}
            axes.axhline(np.mean(before), label=f"{title}, untrained (random baseline)", **style)
    axes.set_xticks(range(len(points)), list(points))
    axes.set_ylabel("top-1 accuracy, %")
    if points:
        axes.legend(fontsize=7)


def protocol(runs):
    """A paragraph on how the accuracies were measured."""
    found = [one for seeds in runs.measured.values() for one in seeds.values()]
    if not found:
        return "No run of this experiment is complete yet."
    counts = ", ".join(f"{split} {runs.dataset.splits[split].count}" for split in ("train", "test"))
    lines = "; ".join(f"**{task}**: {found[0][task]['protocol']}" for task in measure.TASKS)
    return (
        f"Accuracy in % on the split test, frozen encoder; frames: {counts}. Of one seed with its 95 % Wilson interval, "
        f"which takes frames as independent; of several mean ± standard deviation (how many). {lines}."
    )


def _missing(runs):
    lines = [f"- `{name}` failed: {runs.failed[name]}" for name in runs.failed]
    lines += [f"- `{name}` is not there yet" for name in runs.missing() if name not in runs.failed]
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""


def _provenance(runs):
    commands = "\n".join(runs.commands.values())
    return f"Data: SHA-256 `{runs.dataset.checksum[:16]}…`. The runs, each with its seed:\n\n```\n{commands}\n```"


def _raw(runs):
    measured = {
        variant: {
            str(seed): {key: found[key] for key in found if key != "predictions"} for seed, found in seeds.items()
        }
        for variant, seeds in runs.measured.items()
    }
    return {
        "runs": runs.commands,
        "failed": runs.failed,
        "missing": runs.missing(),
        "measured": measured,
    }


def _picture(picture, path):
    with files.replacing(path) as partial:
        if isinstance(picture, Figure):
            picture.savefig(partial, format="png", bbox_inches="tight")
        else:
            shutil.copyfile(picture, partial)
