"""Missing depth: four ways to fill it, and depth images that do so or that say where depth is missing.

A fill takes depth `[..., H, W]` in metres, of which anything not positive or not finite is missing, and returns it
complete. Measured pixels stay as they are, bit for bit; an image without any depth stays without, all zero.
"""

import tensorflow as tf

from keras_simsiam.depth import camera, completion, depth_images, hha
from keras_simsiam.depth import gravity as gravity_estimation
from keras_simsiam.depth.camera import TensorLike

# What a channel of an unknown pixel is set to: the middle, which the encoder's normalisation maps to zero and which a
# dropped HHA (augment.py) is set to. A mean over the image would be another value in every image.
UNKNOWN = 128.0

_NOT_IN_ROW = 1 << 30  # farther than any two pixels, and its square fits int64
_LEVELS = 15  # halvings that bring an image of up to 32768 pixels a side to a single one

# Of `guided`. A hole's pixel and its eight neighbours, of which the path to a measured pixel is made:
_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_PIXELS_PER_COLOUR = 10.0  # length of a step between colours that differ by 1 (of 0..1, summed over the channels)
_UNREACHED = 1e9  # pixels: longer than any path
_HALVINGS = 31  # of the rest of a path, of at most 2³¹ pixels
_SWEEPS = 16  # of smoothing
_SAME_COLOUR, _SAME_DEPTH = 0.05, 0.1  # differences at which a neighbour counts 1/e: of colour, and relative of depth
_STAYS = 1e-6  # weight of a pixel's depth against its neighbours': all of it where none of them is alike


def nearest(depth: TensorLike) -> tf.Tensor:
    """Give each hole the depth of the nearest measured pixel: exact Euclidean distances between pixel centres.

    Separable, as in Saito & Toriwaki, New algorithms for Euclidean distance transformation, Pattern Recognition 1994:
    first the nearest measured pixel in each row, then for each hole the best of the rows at 0, 1, 2… pixels from it,
    until none farther can be better. The cost grows with the missing pixels times the radius of the largest hole.

    Args:
        depth: float32 `[..., H, W]`, metres.

    Returns:
        float32 `[..., H, W]`, metres. Of several pixels equally near always the same one is taken.
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    _, valid = camera.measured(depth)
    fillable = ~valid & tf.reduce_any(valid, axis=(-2, -1), keepdims=True)
    holes = tf.where(tf.reshape(fillable, [-1]))[:, 0]
    sources = _nearest_in_rows(holes, *_nearest_in_row(valid), tf.shape(depth, tf.int64))
    values = tf.reshape(tf.where(valid, depth, 0.0), [-1])
    filled = tf.tensor_scatter_nd_update(values, holes[:, tf.newaxis], tf.gather(values, sources))
    return tf.ensure_shape(tf.reshape(filled, tf.shape(depth)), depth.shape)


def inpaint(depth: TensorLike) -> tf.Tensor:
    """Fill holes smoothly from their rims, with a pyramid of means over measured pixels (pull-push).

    Gortler et al., The Lumigraph, SIGGRAPH 1996; Kraus, The pull-push algorithm revisited, GRAPP 2009. Pull: an image
    of half the size holds the mean of the known pixels around each, until nothing is unknown. Push: what an image does
    not know is interpolated in the complete one of half its size. No mean nor interpolation takes in a missing pixel.

    Args:
        depth: float32 `[..., H, W]`, metres, at most 32768 pixels a side.

    Returns:
        float32 `[..., H, W]`, metres; filled pixels lie between the least and the greatest depth measured in the image,
        which count as 0.1 mm to 10 km (keras_simsiam.depth.camera).
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    known, valid = camera.measured(depth)
    height, width = camera.image_size(depth)
    static = isinstance(height, int) and isinstance(width, int)
    levels = (max(height, width) - 1).bit_length() if static else _LEVELS
    filled = _pull_push(tf.reshape(known, [-1, height, width]), levels)
    return tf.where(valid, depth, tf.reshape(filled, tf.shape(depth)))


def guided(depth: TensorLike, rgb: TensorLike) -> tf.Tensor:
    """Fill holes along colour: with the depth of the measured pixel at the end of the shortest path, then smoothed.

    A path goes from pixel to pixel; a step is as long as it is wide, and longer by 10 pixels where the colour changes by 1:
    the geodesic distance of Criminisi et al., Geodesic image and video editing, ACM Transactions on Graphics 2010. What is
    filled so has steps where two sources meet. 16 sweeps of means over the neighbours smooth them; a neighbour counts as
    its colour and depth are alike, as in a joint bilateral filter, so that depth edges stay. Colour is first smoothed by a
    binomial of 5×5 pixels: noise would lengthen all paths. The cost grows with the missing pixels times the longest path.

    Args:
        depth: float32 `[..., H, W]`, metres.
        rgb: `[..., H, W, 3]` in 0..255, of the same pixels.

    Returns:
        float32 `[..., H, W]`, metres; filled pixels lie between the least and the greatest depth measured in the image,
        which count as 0.1 mm to 10 km (keras_simsiam.depth.camera).
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    known, valid = camera.measured(depth)
    height, width = camera.image_size(depth)
    # One pixel around each image, which no path enters, spares questions about borders.
    edge = [[0, 0], [1, 1], [1, 1]]
    around = [-1, height, width]
    fillable = tf.broadcast_to(tf.reduce_any(valid, axis=(-2, -1), keepdims=True), tf.shape(valid))
    inside = tf.reshape(tf.pad(tf.reshape(fillable, around), edge), [-1])
    values = tf.reshape(tf.pad(tf.reshape(known, around), edge), [-1])
    colors = _smoothed(tf.cast(tf.reshape(rgb, [*around, 3]), tf.float32) / 255)
    colors = tf.reshape(tf.pad(colors, [*edge, [0, 0]]), [-1, 3])

    holes = tf.cast(tf.where(inside & (values == 0))[:, 0], tf.int32)
    neighbours = tf.stack([holes + y * (width + 2) + x for y, x in _AROUND])
    difference = tf.reduce_sum(tf.abs(tf.gather(colors, neighbours) - tf.gather(colors, holes)), -1)
    inside, given = tf.gather(inside, neighbours), tf.gather(values, neighbours)
    place = tf.tensor_scatter_nd_update(  # of a hole's pixel among them
        tf.zeros_like(values, tf.int32), holes[:, tf.newaxis], tf.range(tf.size(holes))
    )
    among = tf.gather(place, neighbours)  # of neighbours that are no holes 0, which `given` overrides
    length = tf.constant([[(y * y + x * x) ** 0.5] for y, x in _AROUND])
    steps = tf.where(inside, length + _PIXELS_PER_COLOUR * difference, _UNREACHED)
    alike = tf.where(inside, tf.exp(-difference / _SAME_COLOUR) / length, 0.0)
    found = _smooth(_along_paths(steps, given, among), alike, given, among)

    filled = tf.tensor_scatter_nd_update(values, holes[:, tf.newaxis], found)
    filled = tf.reshape(filled, [-1, height + 2, width + 2])[:, 1:-1, 1:-1]
    return tf.where(valid, depth, tf.reshape(filled, tf.shape(depth)))


def learned(depth: TensorLike, rgb: TensorLike, weights) -> tf.Tensor:
    """Fill holes by a learnt completion (keras_simsiam.depth.completion), which starts from `guided` and `inpaint`.

    Args:
        depth: float32 `[..., H, W]`, metres.
        rgb: `[..., H, W, 3]` in 0..255, of the same pixels.
        weights: what `completion.load` gives.

    Returns:
        float32 `[..., H, W]`, metres; filled pixels lie within the factor e^0.5 of the two fills.
    """
    depth = tf.convert_to_tensor(depth, tf.float32)
    known, valid = camera.measured(depth)
    images = [-1, *camera.image_size(depth)]
    starts = tf.stack([tf.reshape(start, images) for start in (guided(known, rgb), inpaint(known))])
    rgb = tf.cast(tf.reshape(rgb, [*images, 3]), tf.float32) / 255
    any_depth = tf.reduce_any(valid, axis=(-2, -1), keepdims=True)
    starts = tf.where(starts > 0, starts, 1.0)  # of an image without depth
    found = completion.correct(starts, rgb, tf.reshape(valid, images), weights)
    found = tf.clip_by_value(tf.reshape(found, tf.shape(depth)), camera.NEAREST, camera.FARTHEST)
    return tf.where(valid, depth, tf.where(any_depth, found, 0.0))


FILLS = {"nearest": nearest, "inpaint": inpaint}  # of depth alone
OF_COLOR = ("guided", "learned")
CHOICES = ("none", "mask", "neutral", *FILLS, *OF_COLOR)


def encode(
    depth: TensorLike,
    intrinsics: TensorLike,
    gravity: TensorLike | None = None,
    *,
    encoding: str = "gupta",
    holes: str = "none",
    depth_input: str = "hha",
    rgb: TensorLike | None = None,
    holes_model: str = "",
) -> tf.Tensor:
    """Encode depth as HHA, or another depth image, with one of the choices of what becomes of missing depth.

    Args:
        depth: float32 `[..., H, W]`, metres; what is not positive and finite is missing.
        intrinsics, gravity, encoding: as `hha.encode` takes them.
        holes: `none`: as published (`hha.encode`); `mask`: the same with a fourth channel, 255 where depth was measured and
            0 where not; `neutral`: UNKNOWN in all channels where depth is missing; the others: the depth is filled
            first and then encoded as if measured; unknown gravity is still estimated only from what was measured.
        depth_input: one of `depth_images.DEPTH_INPUTS`; gravity and the encoding are of `hha` alone.
        rgb: `[..., H, W, 3]` in 0..255, the colour of the same pixels; only `guided` and `learned` need it.
        holes_model: the file of the completion of `learned` (`completion.load`).

    Returns:
        float32 `[..., H, W, 3]` in 0..255, with `mask` `[..., H, W, 4]`.

    Raises:
        ValueError: the choice, the encoding or the depth image is not known; `guided` or `learned` without colour.
        UserError: the file of the completion cannot be read.
    """

    def encoded(depth, gravity=gravity):
        if depth_input == "hha":
            return hha.encode(depth, intrinsics, gravity, encoding=encoding)
        return depth_images.encode(depth, intrinsics, depth_input)

    if holes not in CHOICES:
        raise ValueError(f"holes must be one of {', '.join(CHOICES)}, not {holes!r}")
    if holes in OF_COLOR and rgb is None:
        raise ValueError(f"holes={holes!r} fills depth along colour: give rgb, or use nearest")
    if holes in FILLS or holes in OF_COLOR:
        if depth_input == "hha":
            # Estimated from a filled image it may be another: of one real frame (docs/holes.md) a right angle off.
            gravity = gravity_estimation.known_or_estimated(gravity, depth, intrinsics)
        return encoded(_filled(depth, rgb, holes, holes_model), gravity)
    image = encoded(depth)
    valid = camera.measured(depth)[1][..., tf.newaxis]
    if holes == "mask":
        return tf.concat([image, 255.0 * tf.cast(valid, tf.float32)], axis=-1)
    return tf.where(valid, image, UNKNOWN) if holes == "neutral" else image


def _filled(depth, rgb, holes, holes_model):
    if holes == "learned":
        return learned(depth, rgb, completion.load(holes_model))
    return guided(depth, rgb) if holes == "guided" else FILLS[holes](depth)


def _nearest_in_row(valid):
    """For every pixel the nearest valid one of its row: index into the flattened images, and distance; int64 `[N]`."""
    width, flat = tf.shape(valid, tf.int64)[-1], tf.reshape(valid, [-1])
    pixels = tf.range(tf.size(flat, tf.int64))
    # The valid pixels in order, one beyond every row at either end: that before and that after any pixel are neighbours.
    ordered = tf.concat([[-_NOT_IN_ROW], tf.where(flat)[:, 0], [tf.size(flat, tf.int64) + width]], 0)
    place = tf.cumsum(tf.cast(flat, tf.int64))

    def distance(others):
        return tf.where(others // width == pixels // width, tf.abs(others - pixels), _NOT_IN_ROW)

    before, after = tf.gather(ordered, place), tf.gather(ordered, place + 1)
    to_before, to_after = distance(before), distance(after)
    return tf.where(to_before <= to_after, before, after), tf.minimum(to_before, to_after)


def _nearest_in_rows(holes, in_row, distance, shape):
    """The nearest valid pixel of each hole, from the nearest of each row: int64 `[holes]` to `[holes]`, flat indices."""
    height, width = shape[-2], shape[-1]
    rows, square = holes // width % height, distance * distance

    def closer(step, best, source):
        inside = (rows + step >= 0) & (rows + step < height)
        # a hole at the border looks at itself, which is never closer than what it has
        candidates = tf.where(inside, holes + step * width, holes)
        squares = tf.gather(square, candidates) + step * step
        return tf.minimum(best, squares), tf.where(squares < best, tf.gather(in_row, candidates), source)

    def widen(reach, best, source):
        return reach + 1, *closer(reach, *closer(-reach, best, source))

    def may_improve(reach, best, _source):
        return (reach < height) & tf.reduce_any(best > reach * reach)

    start = tf.constant(1, tf.int64), tf.gather(square, holes), tf.gather(in_row, holes)
    return tf.while_loop(may_improve, widen, start)[-1]


def _pull_push(depth, levels):
    """Complete depth `[B, H, W]`, 0 = unknown, from an image of half its size, completed likewise."""
    if levels == 0:
        return depth
    known = depth > 0
    height, width = camera.image_size(depth)
    padded = tf.pad(
        tf.stack([depth, tf.cast(known, tf.float32)]), [[0, 0], [0, 0], [2, 2 + height % 2], [2, 2 + width % 2]]
    )
    total, weight = tf.unstack(_half(_half(padded)))
    coarse = _pull_push(tf.math.divide_no_nan(total, weight), levels - 1)
    fine = tf.raw_ops.ResizeBilinear(
        images=coarse[..., tf.newaxis], size=2 * tf.shape(coarse)[1:], half_pixel_centers=True
    )
    return tf.where(known, depth, fine[:, :height, :width, 0])


def _half(images):
    """Sums weighted 1, 5, 10, 10, 5, 1 (binomial) at every pair of pixels of the last axis, which changes with the one before.

    Shifted additions: a convolution would be rounded to TensorFloat-32 on recent GPUs.
    """
    first, second = images[..., ::2], images[..., 1::2]
    outer = (first + 5.0 * second)[..., :-2] + (5.0 * first + second)[..., 2:]
    return tf.linalg.matrix_transpose(outer + 10.0 * (first + second)[..., 1:-1])


def _smoothed(images):
    """Images `[N, H, W, 3]` smoothed by a binomial of 5×5 pixels, 1, 4, 6, 4, 1; what lies beyond a border is as the border."""
    height, width = camera.image_size(images[..., 0])
    for axis, size in ((1, height), (2, width)):
        places = [tf.clip_by_value(tf.range(size) + shift, 0, size - 1) for shift in (-2, -1, 1, 2)]
        far, near, after, beyond = (tf.gather(images, place, axis=axis) for place in places)
        images = (far + beyond + 4.0 * (near + after) + 6.0 * images) / 16.0
    return images


def _along_paths(steps, given, among):
    """Depth of the measured pixel at the end of the shortest path from each hole's pixel: float32 `[N]`.

    Bellman and Ford's relaxation of all pixels at once, until no path gets shorter. Then each pixel's next one on its path is
    known, and following those by 1, 2, 4… pixels at a time finds the ends.

    Args:
        steps: float32 `[8, N]`, the length of a step from a hole's pixel to each neighbour.
        given: float32 `[8, N]`, the measured depth of a neighbour; 0: it is a hole too.
        among: int32 `[8, N]`, which hole's pixel a neighbour is.
    """

    def by_way_of(lengths):
        return steps + tf.where(given > 0, 0.0, tf.gather(lengths, among))

    def relaxed(_changed, lengths):
        # nothing is longer than unreached, so that rounding cannot go on for ever
        shorter = tf.minimum(tf.reduce_min(by_way_of(lengths), 0), _UNREACHED)
        return tf.reduce_any(shorter < lengths), shorter

    start = tf.constant(True), tf.fill(tf.shape(steps)[1:], _UNREACHED)
    lengths = tf.while_loop(lambda changed, _: changed, relaxed, start)[1]
    first = tf.argmin(by_way_of(lengths), 0, tf.int32)
    chosen = tf.stack([first, tf.range(tf.size(first))], 1)
    ends, following = tf.gather_nd(given, chosen), tf.gather_nd(among, chosen)

    def followed(ends, following):
        return tf.where(ends > 0, ends, tf.gather(ends, following)), tf.gather(following, following)

    return tf.while_loop(
        lambda ends, _: tf.reduce_any(ends == 0), followed, (ends, following), maximum_iterations=_HALVINGS
    )[0]


def _smooth(found, alike, given, among):
    """Filled depth `[N]` after sweeps of means over neighbours of similar colour (`alike`, float32 `[8, N]`) and depth."""

    def sweep(depth):
        others = tf.where(given > 0, given, tf.gather(depth, among))
        apart = tf.abs(others - depth) / (_SAME_DEPTH * tf.minimum(others, depth))
        weights = alike * tf.exp(-apart * apart)
        moved = tf.reduce_sum(weights * (others - depth), 0)
        return depth + moved / (tf.reduce_sum(weights, 0) + _STAYS)

    return tf.while_loop(lambda _: True, lambda depth: (sweep(depth),), (found,), maximum_iterations=_SWEEPS)[0]
