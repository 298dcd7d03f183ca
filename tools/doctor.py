"""What experts check by eye before they trust RGB-D data: python -m tools.doctor data/kitchen --output=report.html"""

import os
import sys

# At 2, TensorFlow still reports CUDA libraries that register twice, on every machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app, flags

from keras_simsiam.core.errors import UserError, exit_on_user_error, parse_flags
from tfrecords import Dataset
from tools import doctor_report, doctor_samples
from tools.doctor_checks import (
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

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "report.html", "The HTML report to write, one file.")
flags.DEFINE_string("split", None, "Look at this split alone (default: all, and whether one leaks into another).")
flags.DEFINE_integer("frames", 200, "How many frames to look at closely.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Draws the frames.", lower_bound=0)

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


@exit_on_user_error
def main(argv):
    if len(argv) != 2:
        raise UserError("name one data set's folder: python -m tools.doctor DIR")
    data = Dataset(argv[1])
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
    _write(FLAGS.output, doctor_report.html(findings, name, about))
    _print_summary(findings, about)
    sys.exit(1 if doctor_report.worst(findings) == WRONG else 0)


def examine(samples: list[dict], prints: list[copies.Print], has_depth: bool) -> list:
    """All findings (tools.doctor_checks.Finding) on a sample of a data set; those on depth where it has depth."""
    findings = [check(samples) for check in DEPTH_CHECKS] if has_depth else []
    return [*findings, copies.duplicates(prints), copies.leakage(prints)]


def _write(path, text):
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"--output={path} cannot be written ({error.strerror}): name another file") from None


def _print_summary(findings, about):
    print(about)
    for finding in findings:
        print(f"{finding.severity:6} {finding.check:17} {finding.number}")
        if finding.remedy:
            print(f"{'':24} {finding.meaning} {finding.remedy}")
    print(f"report: {FLAGS.output}")


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
