"""Finds the frames of a folder that look most like some of them, by the embeddings of an exported encoder.

python -m examples.search --model=serving/rgb/1 --input=rgbd-dataset --rgb='*/*/*_crop.png' --depth= --index=index.npz \\
  --query=apple/apple_1/apple_1_2_1 --output=neighbours.png
"""

from keras_simsiam.core.command import run_command

import fnmatch
import os
import typing
import zipfile

import numpy as np
import tensorflow as tf
from absl import flags
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from tfrecords.sources import folder


class Index(typing.NamedTuple):
    """The embeddings of a folder's frames."""

    names: np.ndarray  # str [N]
    pictures: np.ndarray  # str [N], paths of the colour images
    vectors: np.ndarray  # float32 [N,D], of length 1
    whitened: np.ndarray  # float32 [N,D], of length 1; [N,0] where the model does not whiten


def build(model, plan):
    """Embed every frame of a plan.

    Args:
        model: folder of one version of an exported encoder.
        plan: what `tfrecords.sources.folder.plan` found.

    Returns:
        An `Index`.

    Raises:
        UserError: `model` is no SavedModel, it needs depth and has none, or a file cannot be read.
    """
    try:
        loaded = tf.saved_model.load(model)
    except OSError as error:
        raise UserError(f"--model={model} is no SavedModel: give a version's folder, such as serving/rgb/1") from error
    embed = loaded.signatures["serving_default"]
    references = plan.splits["train"]
    vectors, whitened = zip(*(_embedding(embed, plan.load(reference)) for reference in references), strict=True)
    paths = [os.path.abspath(reference.color_path) for reference in references]
    names = [reference.name for reference in references]
    return Index(np.array(names), np.array(paths), np.array(vectors), np.array(whitened))


def _embedding(embed, frame):
    """A frame's embedding as it is and whitened, float32 [D] of length 1; the model takes the files as they are."""
    parts = {
        "image": frame.rgb,
        "depth": frame.depth,
        "units_per_metre": frame.units_per_metre,
        "intrinsics": frame.intrinsics,
        "gravity": frame.gravity,
    }
    specs = embed.structured_input_signature[1]
    if "depth" in specs and frame.depth is None:
        raise UserError("--depth is empty, but the model looks at depth: give the pattern of the depth images")
    found = embed(**{name: tf.constant([parts[name]], spec.dtype) for name, spec in specs.items()})
    whitened = found.get("whitened", np.zeros([1, 0], np.float32))
    return [tf.math.l2_normalize(vectors[0]).numpy() for vectors in (found["embedding"], whitened)]


def neighbours(index, query, count, among="*", scaling="none"):
    """The frames nearest to one of the index by cosine, nearest first; itself left out.

    Args:
        index: an `Index`.
        query: the frame's name.
        count: how many, at most.
        among: pattern of the names that may be found, with `*`, `?` and `[…]` (fnmatch; `*` matches `/` too).
        scaling: `none`, or `whitened` features.

    Returns:
        (places in the index, cosines), each [count] or shorter.

    Raises:
        UserError: no frame has that name, none may be found, or the model does not whiten.
    """
    vectors = index.whitened if scaling == "whitened" else index.vectors
    if not vectors.shape[1]:
        raise UserError("--scaling=whitened: the model does not whiten, for its run kept no whitening; leave it out")
    if query not in index.names:
        raise UserError(f"--query={query}: no frame of that name; they are called {', '.join(index.names[:3])}, …")
    kept = [place for place, name in enumerate(index.names) if name != query and fnmatch.fnmatchcase(name, among)]
    if not kept:
        raise UserError(f"--among={among} matches no frame; they are called {', '.join(index.names[:3])}, …")
    cosines = vectors[kept] @ vectors[list(index.names).index(query)]
    nearest = np.argsort(-cosines, kind="stable")[:count]
    return np.array(kept)[nearest], cosines[nearest]


def draw(index, results, path):
    """Draw a row for each query: the frame, and its neighbours with their names and cosines.

    Args:
        index: an `Index`.
        results: dict from a query's name to what `neighbours` gave.
        path: the PNG file to write.
    """
    columns = 1 + max(len(nearest) for nearest, _ in results.values())
    figure = Figure(figsize=(1.5 * columns, 1.8 * len(results)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(results), columns, squeeze=False)
    for row, (query, (nearest, cosines)) in zip(grid, results.items(), strict=True):
        titles = ["query", *(f"{cosine:.3f}" for cosine in cosines)]
        places = [list(index.names).index(query), *nearest]
        for axes in row:
            axes.set_axis_off()
        for axes, title, place in zip(row, titles, places, strict=False):
            axes.imshow(tf.io.decode_image(tf.io.read_file(index.pictures[place]), 3, expand_animations=False))
            axes.set_title(f"{os.path.basename(index.names[place])}\n{title}", fontsize=7)
    figure.savefig(path)


def opened(path, model, plan):
    """The index in a file; built and written where it does not exist.

    Args:
        path: the .npz file.
        model: as for `build`.
        plan: as for `build`.

    Returns:
        An `Index`.

    Raises:
        UserError: the file is no index, or is of another model or of other frames; as for `build`.
    """
    names = [reference.name for reference in plan.splits["train"]]
    if not os.path.exists(path):
        print(f"embedding {len(names)} frames", flush=True)
        index = build(model, plan)
        refused = files.writing(f"--index={path}", "make room or name another file")
        with refused, files.replacing(path) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, model=os.path.abspath(model), **index._asdict())
        return index
    try:
        with np.load(path) as arrays:
            made_with, index = str(arrays["model"]), Index(**{field: arrays[field] for field in Index._fields})
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"--index={path} is no index of this command: give another file's name") from error
    if made_with != os.path.abspath(model) or index.names.tolist() != names:
        raise UserError(f"--index={path} is of another model or other frames: delete it, or give another")
    return index


def define_flags():
    """Called only by the command: a program can import this module and others that have the same flags."""
    flags.DEFINE_string("model", None, "A version's folder of an exported encoder, serving/rgb/1.", required=True)
    flags.DEFINE_string("input", None, "The folder to search.", required=True)
    flags.DEFINE_string("rgb", "rgb/*", "Pattern of its colour images; a frame's name is what the wildcards match.")
    flags.DEFINE_string("depth", "depth/*", "Pattern of its depth images; empty for a model of colour only.")
    flags.DEFINE_string("camera", None, "fx,fy,cx,cy; by default from the camera.json next to or above the images.")
    flags.DEFINE_float("units_per_metre", None, "Depth value of one metre, where no camera.json tells it.")
    flags.DEFINE_string("index", None, "File of the embeddings, .npz; made if it does not exist.", required=True)
    flags.DEFINE_list("query", None, "Names of frames to look for, separated by commas.", required=True)
    flags.DEFINE_integer("count", 6, "Neighbours of each.", lower_bound=1)
    flags.DEFINE_string("among", "*", "Pattern of the names to find: frames of one video are nearly the same picture.")
    flags.DEFINE_enum("scaling", "none", ["none", "whitened"], "Features compared as they are, or whitened.")
    flags.DEFINE_string("output", None, "Picture to write, .png.", required=True)


def main():
    """The command."""
    values = flags.FLAGS
    for name, ending in (("index", ".npz"), ("output", ".png")):
        if not values[name].value.endswith(ending):
            raise UserError(f"--{name}={values[name].value}: give a file's name that ends in {ending}")
        if not os.path.isdir(os.path.dirname(values[name].value) or "."):
            raise UserError(f"--{name}={values[name].value}: there is no such folder; make it first")
    camera = {"camera": values.camera, "units_per_metre": values.units_per_metre}
    plan = folder.plan(values.input, values.rgb, depth=values.depth, **camera)
    index = opened(values.index, values.model, plan)
    results = {name: neighbours(index, name, values.count, values.among, values.scaling) for name in values.query}
    for name, (nearest, cosines) in results.items():
        listed = (f"{index.names[place]} ({cosine:.3f})" for place, cosine in zip(nearest, cosines, strict=True))
        print(f"{name}: {', '.join(listed)}")
    draw(index, results, values.output)
    print(f"written: {values.output}")


if __name__ == "__main__":
    run_command(main, define_flags)
