"""Writes a run's encoder as a SavedModel for TensorFlow Serving, its preprocessing (HHA, crop, resize) inside.

python -m export.encoder --workdir=runs/rgbd --output=serving/rgbd_encoder
python -m export.encoder --workdir=runs/rgbd --output=serving/rgbd_encoder \\
    --depth_network=runs/rgbd/evaluation/depth_network_probe.keras
"""

from keras_simsiam.core.command import run_command

from pathlib import Path

import tensorflow as tf
from absl import flags

from export import card, graph, signatures, warmup
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import network
from keras_simsiam.evaluation.encoders.source import resolve_run
from keras_simsiam.training import run, whitening


def export(encoder, preprocessing, output, batching=None, origin=None, depth_network=None, scaling=None, parts=1):
    """Writes the next version of a model folder, all at once: a server that watches it never sees half of one.

    Args:
        encoder: a functional model from a view to a dict with `embedding` and feature maps.
        preprocessing: the `Preprocessing` that the encoder was trained for.
        output: the model folder, `<output>/<version>/saved_model.pb`; made if there is none. Beside the graph a version has
            requests to warm up with and a model card, in assets.extra.
        batching: a `graph.Batching`; None: its defaults.
        origin: what the model card says of the encoder, as `card.describe_encoder` returns it; None: nothing.
        depth_network: as for `graph.servable`; None: without a signature `depth`.
        scaling: as for `graph.servable`; None: without an output `whitened`.
        parts: as for `graph.servable`.

    Returns:
        The Path of the version's folder, 1 in a new model folder.

    Raises:
        UserError: `output` is something other than a model folder, or cannot be made.
    """
    output = Path(output)
    version = output / str(next_version(output))
    with files.writing(f"`output={output}`", "choose another"):
        output.mkdir(parents=True, exist_ok=True)
    module, functions = graph.servable(encoder, preprocessing, batching, depth_network, scaling, parts)
    inputs = signatures.inputs(preprocessing.modality, depth_network is not None)
    with files.appearing(version) as partial:  # under a hidden name: a server looks at whole numbers only
        tf.saved_model.save(module, str(partial), functions)
        warmup.write(partial, inputs)
        card.write(partial, output.name, origin or {}, inputs)
    return version


def next_version(output):
    """One more than the highest version in the model folder `output` (a Path), 1 if there is none.

    Raises:
        UserError: `output` exists and holds something other than versions.
    """
    if not output.exists():
        return 1
    entries = [entry for entry in output.iterdir() if not entry.name.startswith(".")] if output.is_dir() else [output]
    foreign = [entry for entry in entries if not (entry.name.isdecimal() and entry.is_dir())]
    if foreign:
        raise UserError(f"`output={output}` is no model folder ({foreign[0]} is no version of one): choose another")
    return 1 + max((int(entry.name) for entry in entries), default=0)


def summary(version, inputs):
    """What the command prints: where the model is, its signatures, and five lines of Python that call it."""
    lines = [f"SavedModel: {version}", f"model card: {version / card.PLACES[1]}", "signatures, of B samples each:"]
    for signature, rows in inputs.items():
        lines.append(f"  {signature} → {signatures.SIGNATURES[signature].returns}")
        for row in rows:
            sizes = "".join(f",{size or '*'}" for size in row.shape[1:])
            lines.append(f"    {row.name:16}{row.dtype.name:8} {'[B' + sizes + ']':10} {row.description}")
    return "\n".join([*lines, "", "to call it, in Python:", "", snippet(version, inputs["serving_default"])])


def snippet(version, rows):
    """Five lines of Python that load the model and embed one frame from files."""
    values = {
        "image": "[open('rgb.png', 'rb').read()]",
        "depth": "[open('depth.png', 'rb').read()]",
        "units_per_metre": "[1000.0]",
        "intrinsics": "[[570.3, 570.3, 319.0, 239.0]]",
        "gravity": "[[0.0, 0.0, 0.0]]",
    }
    frame = ", ".join(f"{name}={values[name]}" for name, *_ in rows)
    return "\n".join(
        [
            "import tensorflow as tf",
            f"model = tf.saved_model.load({str(version)!r})",
            f"frame = dict({frame})",
            "inputs = {name: tf.constant(value) for name, value in frame.items()}",
            "print(model.signatures['serving_default'](**inputs)['embedding'])",
        ]
    )


def define_flags():
    """Called by the command alone, so that a program can import this module beside others that have the same flags."""
    flags.DEFINE_string("workdir", None, "Run directory of the encoder, or a .keras file in it.", required=True)
    flags.DEFINE_string("output", None, "Model folder, in which the next version is written.", required=True)
    flags.DEFINE_string(
        "depth_network",
        None,
        "A depth_network_*.keras that evaluate.py --task=monodepth has written: served as signature `depth`.",
    )
    defaults = graph.Batching()
    flags.DEFINE_integer(
        "max_batch_size",
        defaults.max_batch_size,
        "Samples of several requests in one run of the network.",
        lower_bound=1,
    )
    flags.DEFINE_integer("batch_threads", defaults.threads, "Runs of the network at a time.", lower_bound=1)


def main():
    """The command."""
    tf.get_logger().setLevel("WARNING")  # the saver's notes on its temporary folder
    workdir, output, depth_file = flags.FLAGS.workdir, flags.FLAGS.output, flags.FLAGS.depth_network
    source = resolve_run(workdir)
    next_version(Path(output))  # refuses a wrong --output before the minute that building the graph takes
    batching = graph.Batching(flags.FLAGS.max_batch_size, flags.FLAGS.batch_threads)
    depth_network, origin = None, card.describe_encoder(source)
    if depth_file:
        depth_network = network.load(depth_file)
        origin["depth_network"] = card.describe_depth_network(depth_file)
    encoder, scaling = run.load_encoder(source.file), whitening.load(source.file)
    config = source.config
    version = export(encoder, config.preprocessing, output, batching, origin, depth_network, scaling, config.parts)
    if scaling is None:
        print(f"without `whitened`: {whitening.file_of(source.file)} does not exist; training writes it")
    print(summary(version, signatures.inputs(config.modality, depth_network is not None)))


if __name__ == "__main__":
    run_command(main, define_flags)
