"""The background of a view, told from its object by measured depth: removed, blurred, or that of another frame of the batch.

Background augmentation as Ryali et al. 2021 (arXiv 2103.12719) make it by saliency: what both views share around the object is
the place, and a place identifies the frame. Colour and HHA of a view change together, after everything else that is drawn.
"""

import math

import tensorflow as tf

from keras_simsiam.core.modalities import NEUTRAL
from keras_simsiam.depth import camera, holes
from keras_simsiam.views.resample import resample

CHOICES = ("none", "removed", "blurred", "replaced")

_GRID = 64  # points a side at which a crop's depth is looked at: the cost does not grow with the frame
_NEAREST, _FARTHEST = 0.02, 0.98  # of the measured depth in a crop: what noise at silhouettes does not move
_LEAST = 0.1  # of what is measured in a crop, the nearest, is never background: no view is left empty
_SLAB = (0.1, 0.5)  # metres from the nearest, to either side
_CELLS = 4  # a side, of what is left of a blurred background


def foreground(depth, box, seed):
    """What of a crop is not background: a random cut of its depth.

    The depth is looked at on a grid of 64×64 points of the crop. A missing one has the depth of the nearest measured one of the
    grid. Of what is measured there, `near` and `far` are the 2nd and the 98th percentile, in metres. With equal probability the
    cut is

    - a plane: what lies at most z deep stays, z uniform in near..far. A gap between object and wall is so hit as often as it
      is wide, an object's inside as seldom as it is thin;
    - a slab: what lies at most t before or behind `near` stays, t log-uniform in 0.1..0.5 m.

    What is among the nearest tenth of the measured points, less what lies before a slab, stays with both. Of a crop without
    any measured depth all stays.

    Args:
        depth: float32 [H,W], metres; anything not positive or not finite is missing.
        box: float32 [4], the crop: top, left, height, width in pixels, within the image.
        seed: int32 [2].

    Returns:
        float32 [64,64], 1 where it stays, 0 where it is background.
    """
    top, left, height, width = tf.unstack(box)
    rows, columns = (_places(*side) for side in ((top, height, tf.shape(depth)[0]), (left, width, tf.shape(depth)[1])))
    points, valid = camera.measured(tf.gather(tf.gather(depth, rows), columns, axis=1))
    ordered = tf.sort(tf.reshape(tf.where(valid, points, math.inf), [-1]))
    count = tf.math.count_nonzero(valid, dtype=tf.float32)

    def percentile(share):
        return ordered[tf.cast(tf.round(share * tf.maximum(count - 1, 0)), tf.int32)]

    near, far = percentile(_NEAREST), percentile(_FARTHEST)
    which, where = tf.unstack(tf.random.stateless_uniform([2], seed))
    half = _SLAB[0] * (_SLAB[1] / _SLAB[0]) ** where
    plane, slab = [0.0, near + where * (far - near)], [near - half, near + half]
    first, last = tf.unstack(tf.where(which < 0.5, plane, slab))
    filled = holes.nearest(points)
    stays = (filled >= first) & (filled <= tf.maximum(last, percentile(_LEAST)))
    return tf.ensure_shape(tf.cast(stays | (count == 0), tf.float32), [_GRID, _GRID])


def _places(start, extent, size):
    """The pixels of one side of an image that lie under the grid: int32 [64]."""
    places = start + (tf.range(_GRID, dtype=tf.float32) + 0.5) * extent / _GRID
    return tf.clip_by_value(tf.cast(tf.floor(places), tf.int32), 0, size - 1)


def mask(depth, box, seed, *, image_size, wanted):
    """`foreground` as a channel of a view: float32 [S,S,1] in 0..1; where it is not wanted, all 1, which costs nothing."""

    def cut():
        stays = foreground(depth, box, seed)[..., tf.newaxis]
        return tf.clip_by_value(resample(stays, tf.constant([0.0, 0, _GRID, _GRID]), image_size), 0.0, 1.0)

    return tf.cond(wanted, cut, lambda: tf.ones([image_size, image_size, 1]))


def change(view, mask, happens, *, kind):
    """Removes or blurs the background of a view; one to be replaced gets what `replace` needs.

    Args:
        view: dict of `rgb` and/or `hha`, float32 [S,S,C] in 0..1.
        mask: float32 [S,S,1] in 0..1, how much of each pixel is foreground.
        happens: bool scalar, whether this view's background changes.
        kind: one of CHOICES but `none`. `removed`: `core.modalities.NEUTRAL` takes its place, which is
            zero to the network. `blurred`: means over a sixteenth of the view, in which the foreground has no part.

    Returns:
        A dict as `view`; with `replaced` also `foreground`, the mask, and `happens`.
    """
    if kind == "replaced":
        return view | {"foreground": mask, "happens": happens}

    def behind(name, image):
        if kind == "removed":
            return tf.constant(NEUTRAL[name][: image.shape[-1]])
        return _spread(image[tf.newaxis], 1 - mask[tf.newaxis])[0]

    return {
        name: tf.cond(
            happens, lambda name=name, image=image: _over(image, mask, behind(name, image)), lambda image=image: image
        )
        for name, image in view.items()
    }


def replace(views):
    """Give each view of a batch, where its draw says so, the background of another frame's.

    The other is the frame 1 place before in the batch for the first view, 2 before for the second, and so on, so that the two
    views of a frame have two places behind them. Where that frame has its object, its background is spread out: the means of
    what lies around. An image that is one colour throughout, such as HHA that was dropped, stays.

    Args:
        views: a tuple of batches of what `change` gives, each a dict of float32 [B,S,S,C].

    Returns:
        A tuple of dicts without `foreground` and `happens`.
    """
    return tuple(_replaced(dict(view), number) for number, view in enumerate(views))


def _replaced(view, number):
    if "happens" not in view:  # of a view of probability 0
        return view
    mask, happens = view.pop("foreground"), view.pop("happens")
    shift = 1 + number % max(1, mask.shape[0] - 1)  # never a whole turn, so never the frame itself
    result = {}
    for name, images in view.items():
        places = _over(_spread(images, 1 - mask), mask, images)
        changed = _over(images, mask, tf.roll(places, shift, axis=0))
        varies = tf.reduce_any(tf.reduce_max(images, (1, 2)) > tf.reduce_min(images, (1, 2)), -1)
        result[name] = tf.where((happens & varies)[:, tf.newaxis, tf.newaxis, tf.newaxis], changed, images)
    return result


def _over(image, mask, behind):
    """The foreground of one image over another."""
    return mask * image + (1 - mask) * behind


def _spread(images, weights):
    """Means of images [B,S,S,C] over what has weight, [B,S,S,1], around each place; where all is 0, over all.

    In a coarse grid, interpolated; a cell without weight has the image's mean.
    """
    side = images.shape[1]
    weights = tf.where(tf.reduce_max(weights, (1, 2, 3), keepdims=True) > 0, weights, 1.0)
    both = tf.concat([images * weights, weights], -1)
    cells = tf.image.resize(both, [_CELLS, _CELLS], antialias=True) + 1e-3 * tf.reduce_mean(both, (1, 2), keepdims=True)
    return tf.image.resize(cells[..., :-1] / cells[..., -1:], [side, side])
