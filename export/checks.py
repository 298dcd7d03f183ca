"""What a request must be, checked inside the graph: each refusal is INVALID_ARGUMENT with a sentence that names the input."""

import tensorflow as tf

MAX_PIXELS = 1 << 24  # of one image: 4096 × 4096

_HEADER = 26  # bytes of a PNG file up to its colour type
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"

_VALUES = {
    "units_per_metre": (lambda units: (units > 0) & tf.math.is_finite(units), "positive and finite"),
    "gravity": (tf.math.is_finite, "finite, and zeros where it is unknown"),
}


def batch(samples, rows):
    """A request whose tensors have the shapes of their signature, or none.

    A server's session holds the tensors of a request against the types of the signature, not against its shapes.

    Args:
        samples: dict of tensors, B samples along the first axis.
        rows: the signature's inputs (`signatures.Input`).

    Returns:
        The dict, an input that has a default for all samples repeated B times.

    Raises:
        InvalidArgumentError: when the graph runs: a tensor has another shape, no elements, or another number of samples
            than the first; units that are not positive; gravity that is not finite.
    """
    # read through an operation that forgets the shape, or the comparisons would be taken for granted when the graph is built
    shapes = {row.name: tf.shape(tf.compat.v1.placeholder_with_default(samples[row.name], None)) for row in rows}
    count = tf.concat([shapes[rows[0].name], [0]], 0)[0]
    checks = [_shape_check(row, shapes[row.name], count, rows[0].name) for row in rows]
    with tf.control_dependencies(checks):
        checks += [_value_check(name, samples[name]) for name in _VALUES if name in samples]
    with tf.control_dependencies(checks):
        return {row.name: _repeated(samples[row.name], row, count) for row in rows}


def _shape_check(row, shape, count, first):
    rank = len(row.shape)
    padded = tf.concat([shape, [-1] * rank], 0)[:rank]
    wanted = tf.constant([size or -1 for size in row.shape])
    of_signature = tf.reduce_all((wanted == -1) | (padded == wanted))
    counts = (padded[0] == count) | (padded[0] == 1) if row.default else padded[0] == count
    sizes = ",".join(["B", *(str(size or "*") for size in row.shape[1:])])
    same = f", the same B as {first}" if row.name != first else ""
    sentence = f"{row.name} must have the shape [{sizes}]{same} and at least one element, not"
    right = (tf.size(shape) == rank) & of_signature & counts & tf.reduce_all(padded > 0)
    return require(right, sentence, shape)


def _value_check(name, values):
    condition, description = _VALUES[name]
    return require(tf.reduce_all(condition(values)), f"{name} must be {description}, not", values)


def _repeated(values, row, count):
    return tf.broadcast_to(values, [count, *row.shape[1:]]) if row.default else tf.identity(values)


def same_size(image, depth, image_name):
    """The operation that refuses an image [H,W,3] and depth [H,W] of different sizes."""
    sizes = tf.shape(image)[:2], tf.shape(depth)
    right = tf.reduce_all(sizes[0] == sizes[1])
    return require(right, f"{image_name} and depth must have the same height and width, not", *sizes)


def image(file):
    """Decode a JPEG or PNG file, string [], to uint8 [H,W,3]; `_decoded` says what is refused."""
    header = _header(file)
    known = _is_png(header) | (tf.strings.substr(header, 0, len(_JPEG)) == _JPEG)

    def decode(file):
        return tf.io.decode_image(file, channels=3, expand_animations=False)

    return _decoded("image", file, decode, tf.zeros([0, 0, 3], tf.uint8), known, "a JPEG or PNG file")


def depth(file):
    """Decode a 16-bit PNG file of one channel, string [], to uint16 [H,W]; `_decoded` says what is refused."""
    header = _header(file)
    # bytes 24 and 25 of a PNG file: bits a channel, colour type (0 is gray); PNG specification, 11.2.2.
    # The decoder would turn 8 bits or colours into 16-bit depth without a word.
    known = _is_png(header) & (tf.strings.substr(header, 24, 2) == b"\x10\x00")

    def decode(file):  # without the dtype the decoder gives 8 bits, silently
        return tf.io.decode_png(file, channels=1, dtype=tf.uint16)

    decoded = _decoded("depth", file, decode, tf.zeros([0, 0, 1], tf.uint16), known, "a 16-bit PNG file of one channel")
    return decoded[..., 0]


def _decoded(name, file, decode, nothing, known, kind):
    """The decoded file.

    Raises:
        InvalidArgumentError: when the graph runs: it is no such file, damaged, without a pixel, or of more than MAX_PIXELS
            by its header, before anything is decoded: a stranger's file of some kilobytes can decode to gigabytes.
    """

    def read(file):
        size = _size(file)
        pixels = tf.reduce_prod(tf.cast(size, tf.int64))
        fits = (pixels > 0) & (pixels <= MAX_PIXELS)
        return size, tf.cond(fits, lambda: decode(file), lambda: nothing)

    with tf.control_dependencies([require(known, f"{name} must be {kind}")]):
        size, pixels = _attempt(read, tf.identity(file), (tf.constant([-1, -1]), nothing))
    sides = tf.cast(size, tf.int64)
    checks = [
        require(sides[0] >= 0, f"{name} is damaged or cut short: it must be {kind}"),
        require(tf.reduce_all(sides != 0), f"{name} must have at least one pixel, not the size", size),
        require(tf.reduce_prod(sides) <= MAX_PIXELS, f"{name} must have at most {MAX_PIXELS} pixels, not", size),
    ]
    with tf.control_dependencies(checks):
        return tf.ensure_shape(tf.identity(pixels), [None, None, nothing.shape[-1]])


def _attempt(function, argument, otherwise):
    """function(argument), or `otherwise` where it fails: in a graph only a tf.data pipeline can catch an error."""
    one = tf.data.Dataset.from_tensors
    result = one(argument).map(function).ignore_errors().concatenate(one(otherwise)).take(1)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return result.with_options(options).get_single_element()


def _header(file):
    """The first bytes of a file, with zeros behind them, so that every place in it exists, whatever was sent."""
    return tf.strings.join([tf.strings.substr(file, 0, _HEADER), tf.constant(b"\x00" * _HEADER)])


def _is_png(header):
    return tf.strings.substr(header, 0, len(_PNG)) == _PNG


def _size(file):
    """Height and width, int32 [2], from the header; a side of a PNG file that no int32 holds is the largest that one does."""

    def png_size():  # the IHDR chunk comes first: width and height, big-endian (PNG specification, 11.2.2)
        sides = tf.io.decode_raw(tf.strings.substr(_header(file), 16, 8), tf.int32, little_endian=False)[::-1]
        return tf.where(sides < 0, tf.int32.max, sides)

    return tf.cond(_is_png(_header(file)), png_size, lambda: tf.io.extract_jpeg_shape(file)[:2])


def require(condition, sentence, *values):
    """The operation that fails with the sentence and the values, InvalidArgumentError, where the condition is False."""
    return tf.raw_ops.Assert(condition=condition, data=[sentence, *values], summarize=4)
