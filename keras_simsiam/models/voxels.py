"""A 3-D CNN as the tower of depth: points to occupied cells, and a small residual network on these.

What the RGB-D paper proposes for depth, after Zia et al., RGB-D Object Recognition Using Deep Convolutional Neural Networks,
ICCVW 2017.
"""

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.depth import voxels
from keras_simsiam.models.resnet import STAGES, batch_norm

# Whatever the run's: on CPUs the bfloat16 gradient of a 3-D convolution's kernel is wrong on maps of 2×2×2 (TensorFlow 2.15
# and 2.21).
PRECISION = "float32"


@keras.utils.register_keras_serializable("keras_simsiam")
class Voxels(keras.layers.Layer):
    """A point map to the occupied cells of grids around its nearest points (`depth.voxels`). To be built in float32.

    Example:
        >>> Voxels(dtype="float32")(view["hha"]).shape  # of a view with `depth_input=voxels`
        TensorShape([8, 32, 32, 32, 3])
    """

    def __init__(self, size=voxels.SIZE, extents=voxels.EXTENTS, **kwargs):
        """
        Args:
            size: G, cells a side.
            extents: K sides of grids in metres.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.size, self.extents = size, tuple(extents)

    def call(self, images):
        """Images float32 [B,H,W,3] in 0..1, or with a mask [B,H,W,4], which says nothing new, to float32 [B,G,G,G,K]."""
        levels = 255.0 * images[..., :3]
        pixels = tf.shape(images)[1] * tf.shape(images)[2]
        points, valid = voxels.points_of(tf.reshape(levels, [tf.shape(images)[0], pixels, 3]))
        occupied = voxels.occupied(points, valid, size=self.size, extents=self.extents)
        return tf.ensure_shape(occupied, [images.shape[0], *[self.size] * 3, len(self.extents)])

    def get_config(self):
        return {**super().get_config(), "size": self.size, "extents": self.extents}


@keras.utils.register_keras_serializable("keras_simsiam")
class ResizedAs(keras.layers.Layer):
    """A map [B,h,w,C] at the height and width of another, bilinear: of a hybrid's depth, to be joined with colour's."""

    def call(self, inputs):
        """The map and the other one, [B,H,W,C'], to [B,H,W,C] in the precision of the first."""
        given, like = inputs
        resized = tf.cast(tf.image.resize(given, tf.shape(like)[1:3]), given.dtype)
        return tf.ensure_shape(resized, [*like.shape[:3], given.shape[-1]])


def voxel_net(width=64, zero_init_last=False, synchronized=False):
    """A small residual network on voxels, as a functional model of Keras's own layers.

    After VoxNet (Maturana & Scherer, IROS 2015, section III-C): a stem of stride 2, here of 4×4×4 cells, which lies symmetric
    on an even number of them; then four stages of one basic residual block each, of the widths of a ResNet-18, with
    max-pooling in between. The last block's outputs are averaged where VoxNet has dense layers. All of it is float32.

    Args:
        width: channels of the first stage; each later one doubles it.
        zero_init_last: start the scale of each block's last BatchNorm at zero.
        synchronized: BatchNorm statistics over all replicas.

    Returns:
        A model from float32 [B,32,32,32,3] to a dict as `resnet` gives it: `embedding` float32 [B,D], D = 8·width; `c2`, `c3`,
        `c4`, `c5`, the means over Z of the stage maps, [B,h,w,C] with h = w = 16, 8, 4, 2 cells along Y and X; `map` (= `c5`).
    """
    side = voxels.SIZE
    cells = keras.Input((side, side, side, len(voxels.EXTENTS)), name="voxels")
    x = keras.layers.ReLU(dtype=PRECISION)(_conv_bn(cells, width, 4, 2, synchronized))  # B x 16 x 16 x 16 x width
    maps = {}
    for place, stage in enumerate(STAGES):
        if place:
            x = keras.layers.MaxPooling3D(2, dtype=PRECISION)(
                x
            )  # and no stride, which would need padding to be symmetric
        x = _block(x, width * 2**place, zero_init_last, synchronized)
        maps[stage] = _mean_over_depth(x)
    embedding = keras.layers.GlobalAveragePooling3D(dtype="float32", name="pool")(
        x
    )  # as of a ResNet, in every precision
    return keras.Model(cells, {"embedding": embedding, "map": maps["c5"], **maps}, name="voxel_net")


def _mean_over_depth(x):
    """A map [B,Z,Y,X,C] as [B,Y,X,C]."""
    depth, height, width, channels = x.shape[1:]
    mean = keras.layers.AveragePooling3D((depth, 1, 1), dtype=PRECISION)(x)
    return keras.layers.Reshape((height, width, channels), dtype=PRECISION)(mean)


def _block(x, filters, zero_init_last, synchronized):
    """A basic residual block."""
    y = keras.layers.ReLU(dtype=PRECISION)(_conv_bn(x, filters, 3, 1, synchronized))
    y = _conv_bn(y, filters, 3, 1, synchronized, zero_init_last)
    if x.shape[-1] != filters:
        x = _conv_bn(x, filters, 1, 1, synchronized)
    return keras.layers.ReLU(dtype=PRECISION)(keras.layers.Add(dtype=PRECISION)([x, y]))


def _conv_bn(x, filters, kernel, stride, synchronized, zero_init=False):
    he_fan_out = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")  # as in `resnet`
    conv = keras.layers.Conv3D(
        filters, kernel, stride, "same", use_bias=False, kernel_initializer=he_fan_out, dtype=PRECISION
    )
    gamma = "zeros" if zero_init else "ones"
    return batch_norm(synchronized, gamma_initializer=gamma, dtype=PRECISION)(conv(x))
