"""An encoder with all its preprocessing as one TensorFlow graph, with a signature for tensors and one for files."""

import tensorflow as tf

from keras_simsiam.models.encoder import MODALITIES
from keras_simsiam.pipeline import clean_view

MAX_PIXELS = 1 << 24  # of one image: 4096 × 4096

# The inputs by signature and by the part of a view that needs them: name, shape, type, and what it holds.
_CAMERA = (
    ("intrinsics", [None, 4], tf.float32, "fx, fy, cx, cy in pixels of this image, zero-based pixel centres"),
    ("gravity", [None, 3], tf.float32, "unit vector (x right, y down, z forward); zeros: estimated from the depth"),
)
INPUTS = {
    "tensors": {
        "rgb": (("rgb", [None, None, None, 3], tf.uint8, "colour images"),),
        "hha": (("depth", [None, None, None], tf.float32, "metres, 0 = missing"), *_CAMERA),
    },
    "serving_default": {
        "rgb": (("image", [None], tf.string, "JPEG or PNG files, of any sizes"),),
        "hha": (
            ("depth", [None], tf.string, "16-bit PNG files of one channel, each of its image's size"),
            ("units_per_metre", [None], tf.float32, "depth value of one metre: 1000 for millimetres"),
            *_CAMERA,
        ),
    },
}


def inputs(signature, modality):
    """The inputs of a signature: a list of (name, shape with the batch first, type, description)."""
    return [row for part in MODALITIES[modality] for row in INPUTS[signature][part]]


def servable(encoder, preprocessing):
    """Builds the graph.

    Args:
        encoder: a functional model from a view to a dict with `embedding`.
        preprocessing: the `Preprocessing` that the encoder was trained for.

    Returns:
        (module, signatures) for `tf.saved_model.save`. Both signatures take what `inputs` lists, B samples along the
        first axis, and return {"embedding": float32 [B,D]}: pooled features, not normalised. Their graphs refuse with
        InvalidArgumentError what is no JPEG or PNG file, depth that is not a 16-bit PNG of one channel, an image of more
        than 2²⁴ pixels, colour and depth of different sizes, units_per_metre that are not positive, and cameras and
        units as `depth.camera.checked` does.
    """
    module = tf.Module()
    # The variables alone: the layers would be saved with a function each, which nobody calls.
    module.encoder_variables = encoder.variables
    view_spec = {
        part: tf.TensorSpec([preprocessing.image_size, preprocessing.image_size, channels], tf.float32)
        for part, channels in preprocessing.channels.items()
    }

    def embed(samples, decode):
        def view(sample):
            sample = decode(sample)
            if "rgb" in sample and "depth" in sample:
                sizes = tf.shape(sample["rgb"])[:2], tf.shape(sample["depth"])
                same_size = tf.debugging.assert_equal(*sizes, "colour and depth must have the same size")
                with tf.control_dependencies([same_size]):  # or joining them may fail first, with a sentence of its own
                    sample = sample | {"rgb": tf.identity(sample["rgb"])}
            return clean_view(sample, preprocessing)

        # One after the other: images of a batch may differ in size, and HHA is computed before they are resized.
        views = tf.map_fn(view, samples, fn_output_signature=view_spec)
        return {"embedding": tf.cast(encoder(views, training=False)["embedding"], tf.float32)}

    signatures = {}
    for name, decode in (("serving_default", _decode), ("tensors", lambda sample: sample)):
        function = tf.function(lambda decode=decode, **samples: embed(samples, decode))
        specs = {row[0]: tf.TensorSpec(row[1], row[2], row[0]) for row in inputs(name, preprocessing.modality)}
        signatures[name] = function.get_concrete_function(**specs)
    return module, signatures


def _decode(files):
    """A sample of encoded images as a sample of tensors."""
    sample = {key: files[key] for key in ("intrinsics", "gravity") if key in files}
    if "image" in files:
        with tf.control_dependencies([_small_enough(files["image"])]):
            sample["rgb"] = tf.io.decode_image(files["image"], channels=3, expand_animations=False)
        sample["rgb"].set_shape([None, None, 3])
    if "depth" in files:
        with tf.control_dependencies([_small_enough(files["depth"]), _sixteen_bit(files["depth"])]):
            # without the dtype the decoder gives 8 bits, silently
            depth = tf.io.decode_png(files["depth"], channels=1, dtype=tf.uint16)[..., 0]
        tf.debugging.assert_positive(files["units_per_metre"], "units_per_metre must be positive")
        sample["depth"] = tf.cast(depth, tf.float32) / files["units_per_metre"]
    return sample


def _sixteen_bit(file):
    """Reads the format from the header: the decoder would turn 8 bits or colours into 16-bit depth without a word."""
    # bytes 24 and 25 of a PNG file: bits a channel, colour type (0 is gray); PNG specification, 11.2.2
    bits, color = (tf.strings.substr(file, place, 1) for place in (24, 25))
    is_depth = tf.equal(bits, b"\x10") & tf.equal(color, b"\x00")
    return tf.debugging.Assert(is_depth, ["depth must be a 16-bit PNG of one channel"])


def _small_enough(file):
    """Reads the size from the header: a stranger's file of a few kilobytes can decode to gigabytes."""

    def png_size():  # the IHDR chunk comes first: width and height, big-endian (PNG specification, 11.2.2)
        return tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False)

    is_png = tf.strings.regex_full_match(tf.strings.substr(file, 1, 3), "PNG")
    size = tf.cond(is_png, png_size, lambda: tf.io.extract_jpeg_shape(file)[:2])
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    return tf.debugging.assert_less_equal(pixels, tf.constant(MAX_PIXELS, tf.int64), "the image has too many pixels")
