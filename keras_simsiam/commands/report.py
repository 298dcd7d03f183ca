"""Everything that there is in a workdir as one HTML page: the experiments, the runs, and what evaluate.py found of them.

python -m experiments.report --workdir=runs/washington
"""

from keras_simsiam.core.command import run_command

import functools
import json
import os
import sys
from pathlib import Path

from absl import flags
from markupsafe import Markup

from keras_simsiam.commands import report_page as page
from keras_simsiam.commands.report_order import NAMES
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError


def _of_this_version(section):
    """Decorates the maker of a section from a file's content: one that is not what this version writes is named."""

    @functools.wraps(section)
    def wrapped(workdir, path):
        try:
            return section(workdir, path)
        except KeyError as error:
            raise UserError(f"{path} has no {error}, an earlier version wrote it: run what made it again") from error
        except (AttributeError, TypeError, ValueError) as error:  # a list for a dict, a text for a number
            raise _damaged(path, error) from error

    return wrapped


def write(workdir, output):
    """Writes the page; what was there stays until it is complete.

    Args:
        workdir: of experiments, or a run's.
        output: path of the HTML file.

    Raises:
        UserError: there is nothing to show; a file is damaged or missing; the page cannot be written.
    """
    workdir, output = Path(workdir), Path(output)
    if not workdir.is_dir():
        raise UserError(f"--workdir={workdir}: no such folder; give that of experiments, or a run's")
    experiments = [_experiment(workdir, path) for path in _experiments(workdir)]
    runs = _runs(workdir)
    evaluated = [
        _evaluation(workdir, folder) for run in runs for folder in sorted(run.glob("evaluation*/results.json"))
    ]
    if not experiments and not runs:
        raise UserError(
            f"--workdir={workdir} holds no experiment and no run: give the folder of runs that train.py made, or of experiments"
        )
    sections = [*experiments, *([_table_of_runs(workdir, runs)] if runs else []), *evaluated]
    about = f"{len(experiments)} experiments, {len(runs)} runs, {len(evaluated)} evaluations."
    html = page.page(f"Report of {workdir.resolve().name}", about, sections)
    with files.writing(f"--output={output}", "choose another"):
        files.write_text(output, html)


def _experiments(workdir):
    """The NAME.json of the experiments that are there, in the order of NAMES, others after them."""
    there = sorted(path for path in workdir.glob("*.json") if path.with_suffix(".md").exists())
    return sorted(there, key=lambda path: NAMES.index(path.stem) if path.stem in NAMES else len(NAMES))


@_of_this_version
def _experiment(workdir, path):
    """The section of an experiment: its page, and how it was made."""
    raw, text, name = _json(path), _text(path.with_suffix(".md")), path.stem
    title = text.partition("\n")[0].removeprefix("# ")
    encoders = {
        f"encoder of {variant}, seed {seed}": found["identity"]["encoder"]
        for variant, seeds in raw.get("measured", {}).items()
        for seed, found in seeds.items()
    }
    pairs = {
        "command": raw["command"],
        "data": f"{raw['data']['folder']}, SHA-256 {raw['data']['sha256']}",
        "versions": _versions(raw),
        **{label: f"SHA-256 {digest}" for label, digest in encoders.items()},
    }
    html = page.from_markdown(text, workdir, name) + page.facts("Command, data, versions, encoders", pairs)
    return name, title, html


def _runs(workdir):
    """The run directories in a workdir or its runs/, or the workdir itself where it is one."""
    if (workdir / "flags.txt").exists():
        return [workdir]
    return sorted(path.parent for pattern in ("runs/*/flags.txt", "*/flags.txt") for path in workdir.glob(pattern))


def _table_of_runs(workdir, runs):
    header = ["run", "epochs", "last loss", "std · √d", "kNN while training, %", "encoder"]
    shown = {run.name: "".join(sorted(_text(run / "flags.txt").splitlines(True))).rstrip() for run in runs}
    html = Markup("<h2>The runs</h2>") + page.table(header, [_run_row(run) for run in runs])
    return "runs", "The runs", html + page.facts("Their flags", shown)


def _run_row(run):
    lines = _lines(run / "metrics.jsonl")
    last = lines[-1] if lines else {}
    knn = [line["knn"] for line in lines if line.get("knn") is not None]
    return [
        run.name,
        str(last.get("epoch", 0)),
        _number(last.get("loss"), 3),
        _number(last.get("std_projection", last.get("std_embedding")), 2),
        _number(100 * knn[-1] if knn else None, 1),
        "there" if (run / "encoder.keras").exists() else "not yet",
    ]


def _number(value, digits):
    return "–" if value is None else f"{value:.{digits}f}"


@_of_this_version
def _evaluation(workdir, path):
    """The section of a results.json of evaluate.py."""
    found, folder = _json(path), path.parent
    name = " ".join(folder.relative_to(workdir).parts).removeprefix("runs ") if folder != workdir else workdir.name
    parts = [Markup("<h2>evaluate.py: {}</h2>").format(name)]
    for task, result in found.items():
        if isinstance(result, dict) and "protocol" in result and "files" in result:
            parts += _task(task, result, folder)
    pairs = {
        "settings": "\n".join(f"--{key}={value}" for key, value in found["settings"].items()),
        "encoder": f"{found['encoder']['source']}, SHA-256 {found['encoder']['sha256']}",
        "data": f"{found['data']['path']}, SHA-256 {found['data']['sha256']}",
        "versions": _versions(found),
    }
    parts.append(page.facts("Settings, data, versions", pairs))
    return "evaluation-" + name.replace(" ", "-"), f"evaluate.py: {name}", Markup("\n").join(parts)


def _task(task, result, folder):
    """A task's HTML: its accuracies or its table, its figures, and how they were measured."""
    parts = [Markup("<h3>{}</h3>").format(result.get("title", task))]
    if "accuracy" in result:
        rows = [[encoder, *_accuracy(summary)] for encoder, summary in result["accuracy"].items()]
        parts.append(page.table(["", "top-1 accuracy, %", "95 % interval"], rows))
    if "table" in result:
        parts.append(page.table(result["table"][0], result["table"][1:]))
    parts += [page.picture(folder / file, f"{task}: {file}") for file in result["files"] if file.endswith(".png")]
    return [*parts, Markup("<p>{}</p>").format(result["protocol"])]


def _accuracy(summary):
    low, high = summary.get("interval", (None, None))
    interval = "–" if low is None else f"{100 * low:.1f} to {100 * high:.1f}"
    return _number(100 * summary["top1"], 1), interval


def _versions(raw):
    return ", ".join(f"{name} {version}" for name, version in raw["versions"].items())


def _damaged(path, reason):
    return UserError(f"{path} is damaged ({reason}): run what made it again")


def _text(path):
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise _damaged(path, error) from error


def _json(path):
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise _damaged(path, error) from error


def _lines(path):
    """The lines of metrics.jsonl that are complete: a run that goes on may be writing the last."""
    if not path.exists():
        return []
    lines = [line for line in _text(path).splitlines(True) if line.endswith("\n")]
    return [_line(path, number, line) for number, line in enumerate(lines, 1)]


def _line(path, number, line):
    try:
        return dict(json.loads(line))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path} is damaged in line {number} ({error}): delete that line, or the run's folder and train it again"
        ) from error


def define_flags():
    """Called only by the command."""
    flags.DEFINE_string("workdir", None, "Folder of experiments, or a run's.", required=True)
    flags.DEFINE_string("output", None, "The HTML file, by default report.html in the workdir.")


def main():
    """The command."""
    values = flags.FLAGS
    output = values.output or os.path.join(values.workdir, "report.html")
    write(values.workdir, output)
    print(f"written: {output} ({os.path.getsize(output) / 1e6:.1f} MB)", file=sys.stdout)


if __name__ == "__main__":
    run_command(main, define_flags)
