"""Networks that predict depth from colour, as files: SavedModels, those of export.encoder among them, and ONNX files."""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import frames
from keras_simsiam.evaluation.encoders import saved_model
from keras_simsiam.models.encoder import NORMALISATION

# What a network's input holds of a colour c in 0..1: (c - mean) / std, by channel.
_INPUT_VALUES = {
    "0..1": ((0.0,) * 3, (1.0,) * 3),
    "-1..1": ((0.5,) * 3, (0.5,) * 3),
    "0..255": ((0.0,) * 3, (1 / 255,) * 3),
    "imagenet": NORMALISATION["rgb"],
}
INPUT_VALUES = tuple(_INPUT_VALUES)
UNITS = ("metres", "inverse_metres", "disparity")
LAYOUTS = ("NHWC", "NCHW")
_SIGNATURE = "depth"  # of export.encoder --depth_network


@dataclasses.dataclass(frozen=True)
class Use:
    """How a network wants colour, and what its output means; None: not said.

    Attributes:
        input_size: height and width, pixels; needed where the network takes any size.
        input_values: a name of INPUT_VALUES.
        layout: one of LAYOUTS; needed where the network's shape does not tell it.
        unit: one of UNITS. `metres`; `inverse_metres`, 1/m; `disparity`, larger = nearer, known but for scale and offset.
        depth_range: metres, nearest and farthest, for `disparity`: each frame's largest value becomes the nearest, its
            smallest the farthest, and 1/depth is linear between (a frame of one value is all farthest).
    """

    input_size: tuple[int, int] | None = None
    input_values: str | None = None
    layout: str | None = None
    unit: str | None = None
    depth_range: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Network:
    """A network on disk, checked: predicts metres, float32 [H,W], 0 = missing, from uint8 [H,W,3].

    It is picklable: each process loads the file when it first predicts.

    Attributes:
        path: of the ONNX file, or the SavedModel's folder.
        use: complete; None of a SavedModel of export.encoder, whose graph knows it.
    """

    path: str
    use: Use | None

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        if self.use is None:
            return _by_windows(*_signature(self.path), rgb)
        return _resized_back(_metres(_raw(self.path, self.use, rgb), self.use), rgb.shape[:2])

    def description(self) -> dict:
        """For dataset.json: `by`, the file's name; its `sha256`; and what was said of its use, as JSON values."""
        path = Path(self.path).absolute()
        by = f"{path.parent.name}/{path.name}" if path.name.isdecimal() else path.name
        use = {"unit": "metres"} if self.use is None else dataclasses.asdict(self.use)
        return {"by": by, "sha256": files.sha256(path), **use}


def open_network(path: str, use: Use) -> Network:
    """Check that a file holds a network that gives one depth map, by predicting one of a gray frame.

    Args:
        path: an ONNX file; a SavedModel's folder; or one with versions in it, of which the newest counts.
        use: what the flags say.

    Raises:
        UserError: it is neither, or damaged; its use is not wholly said, or said otherwise than the network does; its output
            is not one map of its input's proportions; a package is not installed.
    """
    if Path(path).is_file() and Path(path).suffix == ".onnx":
        return _checked(Network(path, _complete(use, path, *_onnx_input(path))))
    folder = saved_model.newest(path)
    if folder is None:
        raise UserError(f"`model={path}` is neither an .onnx file nor the folder of a SavedModel: name one of these")
    if _signature(str(folder)) is None:
        return _checked(Network(str(folder), _complete(use, path, *_saved_model_input(str(folder)))))
    for name, value in vars(use).items():
        if value is not None:
            raise UserError(f"`model={path}` is of export.encoder, whose graph knows its use: leave `{name}` out")
    return Network(str(folder), None)


def _checked(network):
    """The network, once it has predicted the depth of a gray frame."""
    use = network.use
    try:
        raw = _raw(network.path, use, np.full((*use.input_size, 3), 127, np.uint8))
    except UserError:
        raise
    except Exception as error:  # of many kinds, by what runs it
        raise UserError(
            f"`model={network.path}` does not run on an image of {use.input_size[0]}x{use.input_size[1]} "
            f"({files.reason(error)}): check `input_size` and `layout`"
        ) from error
    (height, width), (of_input, across) = raw.shape, use.input_size
    if abs(height * across - width * of_input) > max(of_input, across):
        raise UserError(
            f"`model={network.path}` gives {height}x{width} values for an image of {of_input}x{across}: that is not a depth map"
        )
    return network


def _complete(use, path, shape, what):
    """The `Use` with what the network's input says; refuses what neither says, or both and differently."""
    if len(shape) != 4 or shape[0] not in (None, 1):
        raise UserError(
            f"`model={path}` takes {what} of the shape {_text(shape)}: give one that takes a batch of images"
        )
    layout = {(True, False): "NHWC", (False, True): "NCHW"}.get((shape[3] == 3, shape[1] == 3), use.layout)
    if layout is None:
        raise UserError(f"the input of `model={path}`, {_text(shape)}, tells no channels: give `layout`, NHWC or NCHW")
    if use.layout not in (None, layout):
        raise UserError(f"`layout={use.layout}`: the input of {path} is {_text(shape)}, {layout}: leave it out")
    size = shape[1:3] if layout == "NHWC" else shape[2:4]
    if None in size and use.input_size is None:
        raise UserError(f"`model={path}` takes images of any size: give `input_size`, height and width (384,384, say)")
    for own, given in zip(size, use.input_size or size, strict=True):
        if own not in (None, given):
            raise UserError(f"`input_size={_text(use.input_size)}`: {path} takes {_text(size)}: leave it out")
    for name, choices in (("input_values", INPUT_VALUES), ("unit", UNITS)):
        if getattr(use, name) is None:
            raise UserError(f"`model={path}` does not say its `{name}`: give one of {', '.join(choices)}")
    if (use.unit == "disparity") != (use.depth_range is not None):
        given = "needs" if use.unit == "disparity" else "has no use for"
        remedy = (
            "give the nearest and the farthest depth in metres (0.5,10, say)" if given == "needs" else "leave it out"
        )
        raise UserError(f"`unit={use.unit}` {given} `depth_range`: {remedy}")
    return dataclasses.replace(use, layout=layout, input_size=tuple(use.input_size or size))


def _text(sizes):
    return ",".join("?" if size is None else str(size) for size in sizes)


def _raw(path, use, rgb):
    """The network's output for a frame, float [h,w], in its own unit."""
    mean, std = (np.float32(values) for values in _INPUT_VALUES[use.input_values])
    image = tf.image.resize(tf.cast(rgb, tf.float32) / 255, use.input_size, antialias=True).numpy()
    batch = ((image - mean) / std)[None]
    output = _call(path)(batch if use.layout == "NHWC" else np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
    raw = np.squeeze(output)
    if raw.ndim != 2:
        raise UserError(f"`model={path}` gives values of the shape {_text(output.shape)}: that is not one depth map")
    return raw.astype(np.float32)


def _metres(raw, use):
    """Metres of a network's output, 0 where it is not finite, or no depth."""
    known = np.isfinite(raw)
    if use.unit == "disparity":
        nearest, farthest = use.depth_range
        values = raw[known]
        low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
        share = (raw - low) / (high - low) if high > low else np.zeros_like(raw)
        raw = 1 / farthest + share * (1 / nearest - 1 / farthest)
    known &= raw > 0
    metres = raw if use.unit == "metres" else 1 / np.where(known, raw, 1)
    return np.where(known, metres, 0).astype(np.float32)


def _resized_back(metres, size):
    return metres if metres.shape == tuple(size) else frames.resized_depth(tf.constant(metres), size).numpy()


@functools.cache
def _call(path) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a batch of one image to the only output of the network in a file."""
    if Path(path).is_dir():
        signature, name, output = _only(_loaded(path), path)
        return lambda batch: signature(**{name: tf.constant(batch)})[output].numpy()
    session = _session(path)
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def _saved_model_input(folder):
    """The shape of the input, and what an error calls it."""
    signature, name, _ = _only(_loaded(folder), folder)
    spec = signature.structured_input_signature[1][name]
    if spec.dtype != tf.float32 or spec.shape.rank is None:
        raise UserError(f"`model={folder}` takes {spec.dtype.name}, not float32 images: give another")
    return tuple(spec.shape), name


def _only(model, folder):
    """The signature of a SavedModel that predicts, and the names of its input and output."""
    signatures = dict(model.signatures)
    signature = signatures.get("serving_default") or next(iter(signatures.values()), None)
    if signature is None:
        raise UserError(f"`model={folder}` has no signature: save it with one, from images to depth")
    inputs, outputs = list(signature.structured_input_signature[1]), list(signature.structured_outputs)
    _check_one(folder, inputs, outputs)
    return signature, inputs[0], outputs[0]


def _check_one(path, inputs, outputs):
    if len(inputs) != 1 or len(outputs) != 1:
        raise UserError(
            f"`model={path}` takes {', '.join(inputs)} and gives {', '.join(outputs)}: give one from one image to one depth map"
        )


def _onnx_input(path):
    session = _session(path)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    _check_one(path, [value.name for value in inputs], [value.name for value in outputs])
    if inputs[0].type != "tensor(float)":
        raise UserError(f"`model={path}` takes {inputs[0].type}, not float32 images: give another")
    # A side of any length has a name, or none.
    return tuple(side if isinstance(side, int) else None for side in inputs[0].shape), inputs[0].name


@functools.cache
def _session(path):
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise UserError(f"onnxruntime cannot be imported ({error}): pip install onnxruntime, or '.[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # there is a process per core
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many kinds
        raise UserError(f"`model={path}` cannot be read ({files.reason(error)}): fetch it again") from error


@functools.cache
def _loaded(folder):
    try:
        return tf.saved_model.load(folder)
    except Exception as error:  # of many kinds, by what of its files is damaged
        raise UserError(
            f"`model={folder}` cannot be read ({files.reason(error)}): copy it or export it again"
        ) from error


def _signature(folder):
    """(the signature `depth`, the side S of what it gives) of a SavedModel of export.encoder; None of any other."""
    signature = _loaded(folder).signatures.get(_SIGNATURE)
    if signature is None or {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()} != {
        "image": tf.string
    }:
        return None
    return signature, signature.structured_outputs["depth"].shape[1]


def _by_windows(signature, side, rgb):
    """Depth of a whole frame by a signature that gives the centre of an image, S × S of a short side of S · 240/224.

    The frame's short side becomes S, and as many squares as cover the long side are predicted. Where they overlap, depth is
    the mean, weighted by the distance from the squares' edges. Each gets a margin, of which the signature cuts off the same.
    """
    height, width = rgb.shape[:2]
    shorter = min(height, width)
    size = max(side, round(height * side / shorter)), max(side, round(width * side / shorter))
    image = tf.image.resize(tf.cast(rgb, tf.float32), size, antialias=True)
    image = tf.cast(tf.round(image), tf.uint8).numpy()
    whole = round(side * frames.SHORT_SIDE)
    before = (whole - side) // 2
    total, weights = np.zeros(size, np.float32), np.zeros(size, np.float32)
    ramp = np.float32(np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)))
    weight = np.minimum.outer(ramp, ramp)
    for top, left in _corners(size, side):
        square = image[top : top + side, left : left + side]
        margins = (before, whole - side - before)
        padded = np.pad(square, (margins, margins, (0, 0)), mode="edge")
        depth = signature(image=tf.io.encode_png(padded)[None])["depth"].numpy()[0]
        total[top : top + side, left : left + side] += weight * depth
        weights[top : top + side, left : left + side] += weight
    return _resized_back(total / weights, (height, width))


def _corners(size, side):
    """Top and left of evenly spaced squares that cover an image."""
    rows, columns = (np.linspace(0, length - side, -(-length // side)).round().astype(int).tolist() for length in size)
    return [(top, left) for top in rows for left in columns]
