"""Projector and predictor: the two small MLPs that pre-training puts behind an encoder and throws away."""

from tensorflow import keras

from keras_simsiam.core.keras_compat import symbolic
from keras_simsiam.models.dropout import ResumableDropout
from keras_simsiam.models.resnet import batch_norm


def projector(
    features,
    hidden=2048,
    outputs=2048,
    *,
    layers=3,
    batch_norms=True,
    last_batch_norm=True,
    last_bias=True,
    dropout=0.0,
    synchronized=False,
):
    """The projection MLP f (Chen & He, section 3; Zhu, section 3.3).

    As published by Chen & He each layer has BatchNorm, the last one without scale and offset; Zhu's has ReLU and dropout
    (`batch_norms=False, dropout=rate`).

    Example:
        >>> ks.projector(512)(tf.zeros([4, 512])).shape
        TensorShape([4, 2048])

    Args:
        features: D, the size of the encoder's embedding.
        hidden: size of the hidden layers.
        outputs: size of the projection z.
        layers: number of layers (3; the paper's CIFAR runs use 2).
        batch_norms: BatchNorm after each layer.
        last_batch_norm: False leaves out that after the last layer, as the heads of BYOL and SwAV do.
        last_bias: False leaves out the bias of a last layer without BatchNorm, as the heads of Barlow Twins and VICReg do.
        dropout: dropout rate after each ReLU.
        synchronized: BatchNorm statistics over all replicas.

    Returns:
        A model from float32 [B,D] to float32 [B,outputs].
    """
    x = inputs = keras.Input((features,))
    for _ in range(layers - 1):
        x = _hidden(x, hidden, batch_norms, dropout, synchronized)
    x = _last(x, outputs, last_batch_norm and batch_norms, last_bias, synchronized)
    return keras.Model(inputs, x, name="projector")


def predictor(
    features=2048,
    hidden=512,
    *,
    batch_norms=True,
    last_batch_norm=False,
    last_bias=True,
    dropout=0.0,
    synchronized=False,
):
    """The prediction MLP h (Chen & He, section 3): a bottleneck whose output layer has a bias and no BatchNorm.

    Example:
        >>> ks.predictor()(tf.zeros([4, 2048])).shape
        TensorShape([4, 2048])

    Args:
        features: size of the projection z and of the prediction p.
        hidden: size of the bottleneck.
        batch_norms: BatchNorm after the hidden layer.
        last_batch_norm: BatchNorm without scale and offset after the output layer, as MoCo v3's for ViTs.
        last_bias: False leaves out the bias of an output layer without BatchNorm, as MoCo v3's for ResNets.
        dropout: dropout rate after the ReLU.
        synchronized: BatchNorm statistics over all replicas.

    Returns:
        A model from float32 [B,features] to float32 [B,features].
    """
    inputs = keras.Input((features,))
    x = _hidden(inputs, hidden, batch_norms, dropout, synchronized)
    x = _last(x, features, last_batch_norm, last_bias, synchronized)
    return keras.Model(inputs, x, name="predictor")


def dino_projector(features, hidden=2048, outputs=256, *, layers=3, batch_norms=False, synchronized=False):
    """DINO's projection MLP up to its bottleneck (Caron et al., Emerging Properties, ICCV 2021, section 3.1), with GELU.

    Biases start at zero and weights normal with a deviation of 1/√fan_in, 0.022 at 2048, where the published code has 0.02
    at every size: without BatchNorm, biases as PyTorch draws them would outweigh what tells samples apart.

    Example:
        >>> ks.dino_projector(512)(tf.zeros([4, 512])).shape
        TensorShape([4, 256])

    Args:
        features: D, the size of the encoder's embedding.
        hidden: size of the hidden layers.
        outputs: size of the bottleneck.
        layers: number of layers.
        batch_norms: BatchNorm after each hidden layer, the published code's `use_bn_in_head`.
        synchronized: BatchNorm statistics over all replicas.

    Returns:
        A model from float32 [B,D] to float32 [B,outputs].
    """
    x = inputs = keras.Input((features,))
    for _ in range(layers - 1):
        x = _normal_dense(x, hidden, use_bias=not batch_norms)
        if batch_norms:
            x = batch_norm(synchronized)(x)
        x = keras.layers.Activation("gelu")(x)
    return keras.Model(inputs, _float32(_normal_dense(x, outputs)), name="projector")


def side_by_side(first, second):
    """One head of two, each on its half: what the methods and monitors that know one head take for both.

    Args:
        first, second: heads of one kind, from float32 [B,n] to [B,m].

    Returns:
        A model from float32 [B,2n] to [B,2m], by the first head's name.
    """
    inputs = keras.Input((2 * first.input_shape[-1],))
    # of one kind they have one name, which a model's layers must not
    named = [keras.Model(head.input, head.output, name=f"{head.name}_{i}") for i, head in enumerate((first, second))]
    halves = [head(half) for head, half in zip(named, symbolic.split(inputs, 2, axis=1), strict=True)]
    return keras.Model(inputs, keras.layers.Concatenate(dtype="float32")(halves), name=first.name)


def rotation_head(shape, *, width=100, dropout=0.5, synchronized=False):
    """What tells by how much depth is turned against colour (Loghmani et al., RA-L 2020, section III, and its code).

    A 1×1 convolution, a 3×3 one of stride 2, a hidden layer with dropout, each with BatchNorm and ReLU, and four outputs. The
    padding of the 3×3 convolution, which theirs does not have, lets maps be smaller than three pixels.

    Args:
        shape: (h, w, C) of the encoder's `map`.
        width: channels of the convolutions and of the hidden layer.
        dropout: dropout rate before the outputs.
        synchronized: BatchNorm statistics over all replicas.

    Returns:
        A model from float32 [B,h,w,C] to logits, float32 [B,4].
    """
    maps = keras.Input(shape)
    x = keras.layers.Conv2D(width, 1)(maps)
    x = keras.layers.ReLU()(batch_norm(synchronized)(x))
    x = keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.Conv2D(width, 3, 2)(x)
    x = keras.layers.ReLU()(batch_norm(synchronized)(x))
    x = _hidden(keras.layers.Flatten()(x), width, True, dropout, synchronized)
    return keras.Model(maps, keras.layers.Dense(4, dtype="float32", name="quarters")(x), name="rotation_head")


def _hidden(x, units, batch_norms, dropout, synchronized):
    x = _dense(x, units, use_bias=not batch_norms)
    if batch_norms:
        x = batch_norm(synchronized)(x)
    x = keras.layers.ReLU()(x)
    return ResumableDropout(dropout)(x) if dropout else x


def _last(x, units, last_batch_norm, last_bias, synchronized):
    x = _dense(x, units, use_bias=last_bias and not last_batch_norm)
    if last_batch_norm:
        x = batch_norm(synchronized, center=False, scale=False)(x)
    return _float32(x)


def _dense(x, units, use_bias=True):
    """A dense layer with PyTorch's initialisers: weights and bias uniform in ±1/√fan_in."""
    limit = x.shape[-1] ** -0.5
    uniform = keras.initializers.RandomUniform
    return keras.layers.Dense(
        units, use_bias=use_bias, kernel_initializer=uniform(-limit, limit), bias_initializer=uniform(-limit, limit)
    )(x)


def _normal_dense(x, units, use_bias=True):
    normal = keras.initializers.RandomNormal(stddev=x.shape[-1] ** -0.5)
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=normal)(x)


def _float32(x):
    """The loss normalises and averages, which 8 bits of mantissa are too few for."""
    return keras.layers.Activation("linear", dtype="float32")(x)
