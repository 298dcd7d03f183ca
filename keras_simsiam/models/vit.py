"""Vision transformers of the sizes that DINO, DeiT and MoCo v3 publish, for any image size that the patch divides."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.models.dropout import DropPath

DEPTH = 12  # blocks
# name -> (width, heads); heads of 64 channels as in DeiT and DINO, but for MoCo v3's ViT-S, which has 12
BACKBONES = {"vit_ti": (192, 3), "vit_s": (384, 6), "vit_s_12heads": (384, 12), "vit_b": (768, 12)}
POSITIONS = ("sincos", "learned")
EPSILON = 1e-6  # of the LayerNorms, as in DINO's and MoCo v3's code


def vit(
    name,
    image_size,
    patch=16,
    channels=3,
    positions="sincos",
    drop_path=0.0,
    frozen_patch=False,
    any_size=False,
):
    """A vision transformer without its classifier, as a functional model.

    Dosovitskiy et al., An Image Is Worth 16×16 Words, ICLR 2021, in the form of DeiT and DINO: a class token, LayerNorm
    before each branch, exact GELU, an MLP of four times the width, a last LayerNorm. Weights start as in MoCo v3's code
    (Chen, Xie & He, ICCV 2021): Xavier's uniform, of queries, keys and values each as its own matrix, biases of zero.

    Args:
        name: `vit_ti`, `vit_s`, `vit_s_12heads` or `vit_b`.
        image_size: S, the side of the square input in pixels, a multiple of the patch.
        patch: P, the side of a patch in pixels.
        channels: channels of the input.
        positions: `sincos`, fixed, with MoCo v3's layout, or `learned`, as DINO has them.
        drop_path: rate of stochastic depth in the last block; it rises from 0 in the first.
        frozen_patch: leave the projection of the patches at its random start (MoCo v3, section 4).
        any_size: take images of any height and width that the patch divides. The weights are those of `image_size`, in
            the same order; positions are interpolated.

    Returns:
        A model from float32 [B,S,S,channels] to a dict: `embedding` float32 [B,D], the class token, and maps float32
        [B,S/P,S/P,D] of the patches' tokens: `c2`, `c3`, `c4`, `c5` after 3, 6, 9 and 12 blocks, and `map` (= `c5`). All go
        through the last LayerNorm, as the intermediate layers of DINO's code do.

    Raises:
        UserError: an unknown name or kind of positions, or a patch that does not divide the image.
    """
    if name not in BACKBONES:
        raise UserError(f"`backbone={name}`: choose one of {', '.join(BACKBONES)}")
    if positions not in POSITIONS:
        raise UserError(f"`positions={positions}`: choose one of {', '.join(POSITIONS)}")
    check_size(image_size, patch)
    width, heads = BACKBONES[name]

    side = None if any_size else image_size
    images = keras.Input((side, side, channels), name="image")
    patches = _patches(images, width, patch, frozen_patch)  # B x S/P x S/P x D
    x = Tokens(image_size // patch, positions, dtype="float32", name="tokens")(patches)  # B x 1+(S/P)² x D

    norm = _norm("norm")
    read = ReadMap(dtype="float32", name="read_map")
    maps = {}
    for block in range(DEPTH):
        x = _block(x, heads, drop_path * block / (DEPTH - 1), f"blocks_{block}")
        if (block + 1) % (DEPTH // 4) == 0:
            normalised = norm(x)
            maps[f"c{1 + (block + 1) * 4 // DEPTH}"] = read([normalised, patches])
    return keras.Model(images, {"embedding": normalised[:, 0], "map": maps["c5"], **maps}, name=name)


def check_size(image_size, patch, name="image_size"):
    """Refuse an image that cannot be cut into patches.

    Args:
        image_size: S, the side of the image in pixels.
        patch: P, the side of a patch.
        name: the flag of the size.

    Raises:
        UserError: P does not divide S.
    """
    if image_size < patch or image_size % patch:
        fitting = max(1, round(image_size / patch)) * patch
        raise UserError(
            f"`{name}={image_size}`: `patch={patch}` does not divide it; use a multiple such as {fitting}, or "
            "another `patch`"
        )


def _patches(images, width, patch, frozen):
    """The projections of the patches: [B,H,W,C] to [B,H/P,W/P,D]."""
    return keras.layers.Conv2D(
        width,
        patch,
        patch,
        kernel_initializer=_uniform(patch**2 * images.shape[-1] + width),
        trainable=not frozen,
        name="patch_embed_proj",
    )(images)


def _block(x, heads, drop_path, name):
    """Attention, then an MLP, each with LayerNorm before it; names are timm's. The sum stays float32 in every precision."""
    width = x.shape[-1]
    y = _norm(f"{name}_norm1")(x)
    y = keras.layers.Dense(3 * width, kernel_initializer=_uniform(2 * width), name=f"{name}_attn_qkv")(y)
    y = SelfAttention(heads, name=f"{name}_attn")(y)
    y = keras.layers.Dense(width, name=f"{name}_attn_proj")(y)
    x = _added(x, y, drop_path)
    y = _norm(f"{name}_norm2")(x)
    y = keras.layers.Dense(4 * width, activation=exact_gelu, name=f"{name}_mlp_fc1")(y)
    y = keras.layers.Dense(width, name=f"{name}_mlp_fc2")(y)
    return _added(x, y, drop_path)


def _added(x, branch, drop_path):
    if drop_path:
        branch = DropPath(drop_path)(branch)
    return keras.layers.Add(dtype="float32")([x, branch])


def _norm(name):
    return keras.layers.LayerNormalization(epsilon=EPSILON, dtype="float32", name=name)


def _uniform(fans):
    """Xavier's uniform initialiser, of the sum of a matrix's two sides."""
    limit = (6 / fans) ** 0.5
    return keras.initializers.RandomUniform(-limit, limit)


@keras.utils.register_keras_serializable("keras_simsiam")
def exact_gelu(x):
    """GELU, x·Φ(x), as defined (Hendrycks & Gimpel 2016); by erf, for the erfc of TensorFlow 2.21 is unknown to tf2onnx."""
    return 0.5 * x * (1 + tf.math.erf(x * 0.5**0.5))


@keras.utils.register_keras_serializable("keras_simsiam")
class SelfAttention(keras.layers.Layer):
    """Attention of tokens to each other: softmax(q·kᵀ/√d)·v in each head of d channels, the softmax in float32.

    It has no weights: a dense layer before it makes queries, keys and values, as one matrix, and one after it mixes the
    heads. So each bias has one dimension, by which optimizers leave it out of weight decay.

    Reference: Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.2.
    """

    def __init__(self, heads, **kwargs):
        """
        Args:
            heads: number of heads, which divides the width.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, inputs):
        """Queries, keys and values [B,N,3D] to [B,N,D]; along the channels first which of the three, then the head."""
        batch, tokens, width = tf.shape(inputs)[0], tf.shape(inputs)[1], inputs.shape[-1] // 3
        size = width // self.heads
        split = tf.reshape(inputs, [batch, tokens, 3, self.heads, size])
        queries, keys, values = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))  # each B x heads x N x d
        scores = tf.matmul(queries * size**-0.5, keys, transpose_b=True)  # B x heads x N x N
        weights = tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32)), values.dtype)
        mixed = tf.transpose(tf.matmul(weights, values), [0, 2, 1, 3])  # B x N x heads x d
        return tf.ensure_shape(tf.reshape(mixed, [batch, tokens, width]), [*inputs.shape[:2], width])

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


@keras.utils.register_keras_serializable("keras_simsiam")
class Tokens(keras.layers.Layer):
    """The patches as a sequence with the class token before them, and what tells their positions added.

    The positions are a weight for the grid of one image size. On another grid they are interpolated, as DINO does.
    """

    def __init__(self, grid, positions, **kwargs):
        """
        Args:
            grid: patches along a side of the nominal image.
            positions: of POSITIONS; `sincos` is not trained.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.grid = grid
        self.positions = positions

    def build(self, input_shape):
        width = input_shape[-1]
        self.class_token = self.add_weight(
            name="class_token", shape=(1, 1, width), initializer=keras.initializers.RandomNormal(stddev=1e-6)
        )
        if self.positions == "learned":  # DINO's initialisation
            start = keras.initializers.TruncatedNormal(stddev=0.02)
        else:
            start = keras.initializers.Constant(sincos(self.grid, width))
        self.table = self.add_weight(
            name="positions",
            shape=(1, 1 + self.grid**2, width),
            initializer=start,
            trainable=self.positions == "learned",
        )
        super().build(input_shape)

    def call(self, inputs):
        """Patches [B,h,w,D] to tokens [B,1+h·w,D]."""
        batch, width = tf.shape(inputs)[0], inputs.shape[-1]
        table = tf.convert_to_tensor(self.table)
        if tuple(inputs.shape[1:3]) != (self.grid, self.grid):
            table = resized(table, *tf.unstack(tf.shape(inputs)[1:3]))
        first = tf.broadcast_to(tf.convert_to_tensor(self.class_token), [batch, 1, width])
        return tf.concat([first, _sequence(inputs)], axis=1) + table

    def get_config(self):
        return {**super().get_config(), "grid": self.grid, "positions": self.positions}


@keras.utils.register_keras_serializable("keras_simsiam")
class ReadMap(keras.layers.Layer):
    """The tokens of the patches as a map, without the class token."""

    def call(self, inputs):
        """Tokens [B,1+h·w,D], and the patches [B,h,w,D] that they were, to a map [B,h,w,D]."""
        tokens, patches = inputs
        return tf.ensure_shape(tf.reshape(tokens[:, 1:], tf.shape(patches)), patches.shape)


def _sequence(patches):
    """[B,h,w,D] to [B,h·w,D]."""
    _, height, width, channels = patches.shape
    count = height * width if height and width else -1
    return tf.reshape(patches, [tf.shape(patches)[0], count, channels])


def sincos(grid, width):
    """Sine-cosine positions with MoCo v3's layout (Chen, Xie & He, ICCV 2021, section 4.3, and its code).

    A quarter of the channels each: sine and cosine of the row, sine and cosine of the column, at D/4 frequencies from 1 to
    nearly 1/10000 (Vaswani et al., NeurIPS 2017, section 3.5). The class token has zeros.

    Args:
        grid: patches along a side.
        width: D, a multiple of 4.

    Returns:
        float32 [1,1+grid²,D], in -1..1.
    """
    frequencies = 10000.0 ** -(np.arange(width // 4) / (width // 4))
    rows, columns = (place.reshape(-1, 1) * frequencies for place in np.mgrid[:grid, :grid])  # grid² x D/4
    patches = np.concatenate([np.sin(rows), np.cos(rows), np.sin(columns), np.cos(columns)], axis=1)
    return np.concatenate([np.zeros((1, width)), patches])[np.newaxis].astype(np.float32)


def resized(table, height, width=None):
    """Positions of another grid, interpolated as in DINO's code; the class token keeps its own.

    Args:
        table: float32 [1,1+n²,D], of a grid of n by n patches.
        height: patches along a column of the new grid, an int or an int32 scalar tensor.
        width: the same along a row; None: as many.

    Returns:
        A float32 tensor [1,1+height·width,D].
    """
    grid, channels = round((table.shape[1] - 1) ** 0.5), table.shape[2]
    rows = bicubic(grid, height)
    columns = rows if width is None else bicubic(grid, width)
    patches = tf.reshape(table[0, 1:], [grid, grid, channels])
    patches = tf.einsum("hr,wc,rcd->hwd", rows, columns, patches)
    return tf.concat([table[:, :1], tf.reshape(patches, [1, -1, channels])], axis=1)


def bicubic(old, new):
    """The matrix that interpolates `old` values along a line to `new` ones, as PyTorch's bicubic does in DINO's code.

    The kernel is Keys's with a = -0.75; beyond the ends the last value is repeated.

    Args:
        old: number of values.
        new: number of values, an int or an int32 scalar tensor.

    Returns:
        float32 [new,old], rows of sum 1.
    """
    # DINO adds a tenth of a patch to the size, against rounding, which moves the places a little
    scale = (tf.cast(new, tf.float32) + 0.1) / old
    places = (tf.range(new, dtype=tf.float32) + 0.5) / scale - 0.5
    first = tf.floor(places)
    matrix = 0.0
    for offset in (-1, 0, 1, 2):
        taps = tf.clip_by_value(tf.cast(first, tf.int32) + offset, 0, old - 1)
        distance = tf.abs(places - first - offset)
        near = (1.25 * distance - 2.25) * distance**2 + 1
        far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
        weight = tf.where(distance <= 1, near, far)
        matrix += weight[:, tf.newaxis] * tf.one_hot(taps, old)
    return matrix
