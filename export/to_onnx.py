"""Writes a run's encoder as an ONNX file, once ONNX Runtime has given the same embeddings with it.

python -m export.onnx --workdir=runs/rgb --output=serving/rgb.onnx    (pip install '.[onnx]')
"""

from keras_simsiam.core.command import run_command

import importlib
import logging
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.encoders.source import resolve_run
from keras_simsiam.training import run

TOLERANCE = 1e-4  # of the largest embedding, or of 1 where all are smaller
_OPSET = 17
_PREPARATION = (
    "float32 in 0..1, NHWC: the image's centre square, resized once (bilinear, antialiased); HHA, or the depth image that "
    "depth_input names, of the whole frame before that, divided by 255, with --holes=mask a fourth channel; the normalisation "
    "is inside"
)


def export(encoder, preprocessing, output):
    """Writes the file.

    The graph is the encoder's alone, from views on: HHA and the resize are not among ONNX's operations. What a view is, the
    file's metadata say.

    Args:
        encoder: a functional model from a view to a dict with `embedding`.
        preprocessing: the `Preprocessing` that it was trained for.
        output: the file to write, which must not be there; its name ends in .onnx.

    Returns:
        The largest difference between ONNX Runtime's embeddings of random views and TensorFlow's.

    Raises:
        UserError: a package is not installed, `output` cannot be written, or the embeddings differ by more than TOLERANCE.
    """
    output = checked_output(output)
    onnx, converter = _library("onnx"), _library("tf2onnx")
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    names = sorted(encoder.input)
    specs = [tf.TensorSpec([None, *encoder.input[name].shape[1:]], tf.float32, name) for name in names]

    @tf.function(input_signature=specs)
    def embed(*images):
        view = dict(zip(names, images, strict=True))
        return {"embedding": tf.cast(encoder(view, training=False)["embedding"], tf.float32)}

    model, _ = converter.convert.from_function(embed, specs, opset=_OPSET)
    facts = {
        "modality": preprocessing.modality,
        "hha_encoding": preprocessing.hha_encoding,
        "holes": preprocessing.holes,
        "depth_input": preprocessing.depth_input,
        "holes_model": preprocessing.holes_model,
    }
    onnx.helper.set_model_props(model, facts | {"inputs": _PREPARATION, "output": "pooled features, not normalised"})
    content = model.SerializeToString()
    difference = _difference(content, embed, specs)
    with files.writing(f"`output={output}`", "choose another"):
        output.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(output) as partial:
            partial.write_bytes(content)
    return difference


def checked_output(output):
    """The Path of a file to write.

    Raises:
        UserError: its name does not end in .onnx, or it is there already.
    """
    output = Path(output)
    if output.suffix != ".onnx":
        raise UserError(f"`output={output}`: give a file's name that ends in .onnx")
    if output.exists():
        raise UserError(f"`output={output}` is there already: choose another, or delete it")
    return output


def _difference(content, embed, specs):
    """The largest difference on random views, in batches of one and three."""
    session = _library("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    random, largest = np.random.default_rng(0), 0.0
    for count in (1, 3):
        view = {spec.name: random.random((count, *spec.shape[1:]), np.float32) for spec in specs}
        expected = embed(*map(tf.constant, view.values()))["embedding"].numpy()
        found = session.run(["embedding"], view)[0]
        largest = max(largest, float(np.abs(found - expected).max()))
        if not largest <= TOLERANCE * max(1.0, np.abs(expected).max()):
            raise UserError(
                f"ONNX Runtime's embeddings differ by {largest:.2g}, nothing was written: install the versions of the "
                "extra onnx"
            )
    return largest


def _library(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{name} cannot be imported ({error}): pip install '.[onnx]'") from error


def define_flags():
    """Called by the command alone, so that a program can import this module beside others that have the same flags."""
    flags.DEFINE_string("workdir", None, "Run directory of the encoder, or a .keras file in it.", required=True)
    flags.DEFINE_string("output", None, "ONNX file to write.", required=True)


def main():
    """The command."""
    output, source = checked_output(flags.FLAGS.output), resolve_run(flags.FLAGS.workdir)
    config = source.config
    difference = export(run.load_encoder(source.file), config.preprocessing, output)
    side, channels = config.image_size, config.preprocessing.channels
    print(f"written: {output}; within {difference:.1g} of TensorFlow on random views")
    print("inputs: " + ", ".join(f"{name} float32 [N,{side},{side},{count}]" for name, count in channels.items()))
    print(f"each {_PREPARATION}")


if __name__ == "__main__":
    run_command(main, define_flags)
