"""What experts check by eye before they trust RGB-D data: python -m tools.doctor data/kitchen --output=report.html"""

from keras_simsiam.core.command import run_command

import os
import sys
from pathlib import Path

from absl import flags

from keras_simsiam.commands import doctor_report, doctor_samples
from keras_simsiam.commands.doctor_checks import (
    WRONG,
    alignment,
    copies,
    depth_range,
    gravity_direction,
    intrinsics,
    levels,
    missing_depth,
    units,
)
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords.dataset import Dataset

FLAGS = flags.FLAGS

# In the order in which one would ask. Data without depth need no camera either.
DEPTH_CHECKS = (
    units.check,
    depth_range.check,
    missing_depth.check,
    levels.check,
    intrinsics.check,
    alignment.check,
    gravity_direction.check,
)


def define_flags():
    """Called only by the command."""
    flags.DEFINE_string("output", "report.html", "The HTML report to write, one file.")
    flags.DEFINE_string("split", None, "Look only at this split (default: all, and whether one leaks into another).")
    flags.DEFINE_integer("frames", 200, "How many frames to look at closely.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Draws the frames.", lower_bound=0)


def main(arguments):
    """The command."""
    if len(arguments) != 1:
        raise UserError("name one data set's folder: python -m tools.doctor DIR")
    data = Dataset(arguments[0])
    splits = sorted(data.splits) if FLAGS.split is None else [FLAGS.split]
    if not set(splits) <= set(data.splits):
        raise UserError(f"--split={FLAGS.split}: {data.path} has {', '.join(sorted(data.splits))}")
    samples, prints = doctor_samples.draw(data, splits, FLAGS.frames, FLAGS.seed)
    findings = doctor_report.ordered(examine(samples, prints, data.has_depth))
    total = sum(data.splits[split].count for split in splits)
    about = (
        f"Looked at {len(samples)} of {total} frames of {', '.join(splits)} (drawn by seed {FLAGS.seed}), and compared "
        f"{len(prints)} of them with each other."
    )
    name = os.path.basename(os.path.normpath(data.path))
    with files.writing(f"--output={FLAGS.output}", "name another file"):
        Path(FLAGS.output).write_text(doctor_report.html(findings, name, about), encoding="utf-8")
    _print_summary(findings, about)
    sys.exit(1 if doctor_report.worst(findings) == WRONG else 0)


def examine(samples: list[dict], prints: list[copies.Print], has_depth: bool) -> list:
    """All findings (doctor_checks.Finding) on a sample of a data set; those on depth where it has depth."""
    findings = [check(samples) for check in DEPTH_CHECKS] if has_depth else []
    return [*findings, copies.duplicates(prints), copies.leakage(prints)]


def _print_summary(findings, about):
    print(about)
    for finding in findings:
        print(f"{finding.severity:6} {finding.check:17} {finding.number}")
        if finding.remedy:
            print(f"{'':24} {finding.meaning} {finding.remedy}")
    print(f"report: {FLAGS.output}")


if __name__ == "__main__":
    run_command(main, define_flags, takes_arguments=True)
