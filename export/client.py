"""Asks a server for the embeddings of frames, by gRPC (host:port) or REST (http://host:port).

python -m export.client --server=localhost:8500 rgb.png depth.png --camera=570.3,570.3,319,239 --units_per_metre=1000
"""

from keras_simsiam.core.command import run_command

import dataclasses
import json
from pathlib import Path

import numpy as np
from absl import flags, logging

from export import transport
from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords import camera_file

# The files of a frame, in the order in which the command line has them.
_FILES = {"rgb": ("image",), "hha": ("depth",), "rgbd": ("image", "depth")}


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame as the signature serving_default takes it; what an encoder of its kind does not ask for is None.

    Attributes:
        name: what an error calls it.
        image: a JPEG or PNG file, bytes.
        depth: a 16-bit PNG file of the image's size, bytes.
        units_per_metre: depth value of one metre.
        intrinsics: fx, fy, cx, cy in pixels, zero-based pixel centres.
        gravity: unit vector in the camera's frame (x right, y down, z forward); zeros: the server estimates it.
    """

    name: str
    image: bytes | None = None
    depth: bytes | None = None
    units_per_metre: float | None = None
    intrinsics: tuple | None = None
    gravity: tuple | None = None


def tensors(frames):
    """The inputs of a signature, dict of arrays of B samples, from B frames of one kind."""
    names = [field.name for field in dataclasses.fields(Frame)[1:] if getattr(frames[0], field.name) is not None]
    types = {"image": object, "depth": object}
    return {name: np.array([getattr(frame, name) for frame in frames], types.get(name, np.float32)) for name in names}


def embed(connection, frames, batch_size=16):
    """Embeddings of frames, in requests of at most `batch_size` of them.

    Args:
        connection: as `transport.connect` gives it.
        frames: list of Frame, of one kind and any sizes.
        batch_size: frames in a request.

    Returns:
        float32 [N,D], pooled features, not normalised.

    Raises:
        transport.Refused: the server's sentence about a frame, with its name.
        UserError: as `transport.Grpc.predict`.
    """
    batches = [frames[start : start + batch_size] for start in range(0, len(frames), batch_size)]
    return np.concatenate([_embed_batch(connection, batch) for batch in batches])


def _embed_batch(connection, frames):
    try:
        return connection.predict(tensors(frames))["embedding"]
    except transport.Refused as error:
        if len(frames) == 1:
            raise transport.Refused(f"{frames[0].name}: {error}") from error
    return np.concatenate([_embed_batch(connection, [frame]) for frame in frames])  # one by one, to name the culprit


def read_frames(paths, modality, *, camera=None, units_per_metre=None, gravity=None):
    """The frames of files.

    Args:
        paths: of an image, a depth file, or an image and a depth file in turn, by the modality.
        modality: `rgb`, `hha` or `rgbd`, that of the encoder.
        camera: a `camera_file.Camera`, None: the camera.json next to or above each depth file.
        units_per_metre: depth value of one metre; None: that of the camera file.
        gravity: (x, y, z), or None where it is to be estimated.

    Returns:
        A list of Frame.

    Raises:
        UserError: no files, an odd number of them, one that cannot be read, or no camera.
    """
    kinds = _FILES[modality]
    if not paths or len(paths) % len(kinds):
        wanted = "rgb.png depth.png, in pairs" if modality == "rgbd" else "at least one"
        raise UserError(f"{len(paths)} files for `modality={modality}`: give {wanted}")
    groups = [paths[start : start + len(kinds)] for start in range(0, len(paths), len(kinds))]
    return [_frame(dict(zip(kinds, group, strict=True)), camera, units_per_metre, gravity) for group in groups]


def _frame(paths, camera, units_per_metre, gravity):
    content = {kind: _read(path) for kind, path in paths.items()}
    if "depth" in paths:
        camera = camera or camera_file.of_image(paths["depth"])
        content["units_per_metre"] = camera_file.units(camera, units_per_metre, paths["depth"])
        content |= {"intrinsics": camera.intrinsics, "gravity": gravity or (0.0, 0.0, 0.0)}
    return Frame(" ".join(paths.values()), **content)


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: name an existing file") from error


def define_flags():
    """Called only by the command: a program can import this module and others that have the same flags."""
    flags.DEFINE_string("server", None, "host:port for gRPC, http://host:port for REST.", required=True)
    flags.DEFINE_string("model", "rgbd_encoder", "The model's name on the server.")
    flags.DEFINE_enum("modality", "rgbd", list(_FILES), "What the encoder takes: image files, depth files, or pairs.")
    flags.DEFINE_string("camera", None, "fx,fy,cx,cy in pixels, zero-based pixel centres; read no camera file.")
    flags.DEFINE_string("camera_file", None, "Camera file of all frames (default: camera.json next to or above each).")
    flags.DEFINE_float("units_per_metre", None, "Depth values in a metre: 1000 for millimetres.")
    flags.DEFINE_string(
        "gravity", "estimate", "estimate, or gx,gy,gz in the camera's frame (x right, y down, z forward)."
    )
    flags.DEFINE_integer("batch_size", 16, "Frames in a request.", lower_bound=1)
    flags.DEFINE_float("timeout", 60.0, "Seconds that a request may take.", lower_bound=0.001)
    flags.DEFINE_string("output", None, "File of the embeddings, .npy; by default they are printed, a line a frame.")


def main(paths):
    """The command."""
    logging.set_verbosity(logging.ERROR)  # each attempt at a server that does not answer would warn
    values = flags.FLAGS
    camera = camera_file.given(values.camera, values.camera_file)
    gravity = camera_file.parse_gravity(values.gravity, "estimate")
    frames = read_frames(paths, values.modality, camera=camera, units_per_metre=values.units_per_metre, gravity=gravity)
    connection = transport.connect(values.server, values.model, values.timeout)
    embeddings = embed(connection, frames, values.batch_size)
    connection.close()
    if values.output is None:
        for frame, embedding in zip(frames, embeddings, strict=True):
            print(json.dumps({"frame": frame.name, "embedding": embedding.tolist()}))
        return
    with files.writing(f"`output={values.output}`", "choose another"), open(values.output, "wb") as file:
        np.save(file, embeddings)  # given a path, it would add a suffix of its own
    print(f"{values.output}: float32 {list(embeddings.shape)}")


if __name__ == "__main__":
    run_command(main, define_flags, takes_arguments=True)
