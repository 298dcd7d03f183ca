"""Depth for data of colour alone: python -m tools.pseudo_depth --data_dir=data/photos --model=MODEL --output=data/depth"""

from keras_simsiam.core.command import run_command

import os
import signal

from absl import flags

from keras_simsiam.core.errors import UserError
from tfrecords import build_summary, builder
from tfrecords.processes import Pool
from tfrecords.sources import predicted
from tfrecords.unfinished import Unfinished

FLAGS = flags.FLAGS


def define_flags():
    """Called only by the command."""
    flags.DEFINE_string("data_dir", None, "Data set of colour alone, as tfrecords.build wrote it.", required=True)
    flags.DEFINE_string(
        "model",
        None,
        "Network from an image to its depth: a SavedModel of export.encoder --depth_network, which needs no flag of the "
        "network; another SavedModel; or an .onnx file.",
        required=True,
    )
    flags.DEFINE_string(
        "output",
        None,
        "The folder to write the data set with depth to; the same command goes on where one was stopped.",
        required=True,
    )
    flags.DEFINE_list("input_size", None, "Height and width of the network's input, where it takes any size.")
    flags.DEFINE_enum(
        "input_values",
        None,
        ["0..1", "-1..1", "0..255", "imagenet"],
        "What colours the network takes; imagenet: 0..1, then normalised by ImageNet's mean and deviation.",
    )
    flags.DEFINE_enum("layout", None, ["NHWC", "NCHW"], "Order of the input's axes, where its shape does not tell it.")
    flags.DEFINE_enum(
        "unit",
        None,
        ["metres", "inverse_metres", "disparity"],
        "What the network gives; disparity: larger is nearer, known but for scale and offset, which --depth_range sets.",
    )
    flags.DEFINE_list(
        "depth_range", None, "Metres of the nearest and the farthest point of every frame, for --unit=disparity."
    )
    flags.DEFINE_float(
        "fov", None, "Degrees that frames without a camera cover along their longer side (phones: 60 to 70)."
    )
    flags.DEFINE_integer(
        "workers",
        None,
        "Processes that predict and write, each on one core (default: the CPUs this process may use). Decides only the time "
        "it takes.",
        lower_bound=1,
    )


def main():
    """The command."""
    # A build that is told to end keeps what it can go on from, like one that is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = {
        "input_size": _pair("input_size", int, "height and width in pixels"),
        "input_values": FLAGS.input_values,
        "layout": FLAGS.layout,
        "unit": FLAGS.unit,
        "depth_range": _pair("depth_range", float, "nearest and farthest in metres"),
    }
    if given["depth_range"] and given["depth_range"][0] >= given["depth_range"][1]:
        raise UserError(f"`depth_range={','.join(FLAGS.depth_range)}`: give the nearest first, then the farthest")
    if FLAGS.fov is not None and not 0 < FLAGS.fov < 180:
        raise UserError(f"`fov={FLAGS.fov:g}`: give degrees between 0 and 180")
    content = build(
        FLAGS.data_dir,
        FLAGS.model,
        FLAGS.output,
        use=given,
        fov=FLAGS.fov,
        workers=FLAGS.workers or len(os.sched_getaffinity(0)),
    )
    build_summary.print_report(content, FLAGS.output)


def build(data_dir, model, output, *, use, fov=None, workers=1):
    """Write a data set's frames with the depth that a network predicts, or go on where that was stopped.

    Args:
        data_dir: data set of colour alone.
        model: the network's file or folder (`depth_networks.open_network`).
        output: folder of the new data set.
        use: the arguments of `depth_networks.Use`, a dict.
        fov: degrees along the longer side of frames without a camera; None: all have one.
        workers: processes.

    Returns:
        The content of dataset.json, and what was left out under `skipped_frames`.

    Raises:
        UserError: as `predicted.colour_only` and `plan`, `depth_networks.open_network` and `builder.build`.
    """
    arguments = {"data_dir": data_dir, "model": model, **use, "fov": fov}
    with Unfinished(output) as unfinished, Pool(workers) as pool:
        dataset = predicted.colour_only(data_dir)
        # After the workers were forked: importing it, and what it loads, starts TensorFlow's threads.
        from keras_simsiam.commands import depth_networks

        network = depth_networks.open_network(model, depth_networks.Use(**use))
        plan = predicted.plan(dataset, network, prediction=network.description(), fov=fov)
        source = {"name": "pseudo_depth", "arguments": arguments}
        return builder.build(plan, source, seed=None, unfinished=unfinished, pool=pool)


def _pair(name, kind, what):
    """Two positive numbers of a flag, None where it is not given."""
    texts = FLAGS[name].value
    if texts is None:
        return None
    try:
        values = tuple(kind(text) for text in texts)
    except ValueError:
        values = ()
    if len(values) != 2 or not all(0 < value < float("inf") for value in values):
        raise UserError(f"`{name}={','.join(texts)}`: give two positive numbers, {what}")
    return values


if __name__ == "__main__":
    run_command(main, define_flags)
