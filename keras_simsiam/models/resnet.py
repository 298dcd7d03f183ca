"""ResNet-18, -34 and -50 (v1.5) with the constants of PyTorch's torchvision, which every published number rests on."""

from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.keras_compat import BatchNormalization

# name -> (blocks of each stage, whether they are bottlenecks)
BACKBONES = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
}
STEMS = ("imagenet", "cifar")
STAGES = ("c2", "c3", "c4", "c5")


def resnet(
    name,
    image_size,
    stem="imagenet",
    width=64,
    channels=3,
    zero_init_last=False,
    synchronized=False,
    any_size=False,
):
    """A ResNet without its classifier, as a functional model of Keras's own layers.

    He et al., Deep Residual Learning, CVPR 2016, Table 1; v1.5 as torchvision has it: a bottleneck's stride sits in its
    3×3 convolution. Padding is explicit and symmetric where the stride is 2 (TensorFlow's SAME is not symmetric there).

    Args:
        name: `resnet18`, `resnet34` or `resnet50`.
        image_size: S, the side of the square input in pixels.
        stem: `imagenet` (7×7 stride 2, then max-pool) or `cifar` (3×3 stride 1, no pool).
        width: channels of the first stage (64 in the paper); the later stages double it.
        channels: channels of the input.
        zero_init_last: start the scale of each block's last BatchNorm at zero (Goyal et al. 2017, section 5.1).
        synchronized: BatchNorm statistics over all replicas.
        any_size: take images of any height and width.

    Returns:
        A model from float32 [B,S,S,channels] to a dict: `embedding` float32 [B,D] (the pooled last map, D = 8·width, or
        32·width with bottlenecks), `c2`, `c3`, `c4`, `c5` (the stage maps), and `map` (= `c5`).

    Raises:
        UserError: an unknown name or stem.
    """
    images, x = _images_and_stem(name, image_size, stem, width, channels, synchronized, any_size)
    maps = _stages(name, x, STAGES, width, zero_init_last, synchronized)
    return keras.Model(images, _pooled(maps) | maps, name=name)


def resnet_halves(
    name, image_size, after, tower, stem="imagenet", width=64, channels=3, zero_init_last=False, **options
):
    """A ResNet cut in two, for what happens to its maps in between.

    Args:
        after: the stage of STAGES that is the first half's last; not the last of all.
        tower: what the names of the halves begin with.
        name, image_size, stem, width, channels, zero_init_last, **options: as in `resnet`.

    Returns:
        (a model from images to a dict of the stage maps up to `after`, a model from that map to a dict of `embedding`, `map`
        and the other stage maps). One after the other they are `resnet`.

    Raises:
        UserError: as in `resnet`.
    """
    synchronized, cut = options.get("synchronized", False), STAGES.index(after) + 1
    images, x = _images_and_stem(name, image_size, stem, width, channels, synchronized, options.get("any_size", False))
    lower = _stages(name, x, STAGES[:cut], width, zero_init_last, synchronized)
    between = keras.Input(lower[after].shape[1:], name=after)
    upper = _stages(name, between, STAGES[cut:], width, zero_init_last, synchronized)
    lower = keras.Model(images, lower, name=f"{tower}_to_{after}")
    return lower, keras.Model(between, _pooled(upper) | upper, name=f"{tower}_from_{after}")


def _images_and_stem(name, image_size, stem, width, channels, synchronized, any_size):
    if name not in BACKBONES:
        raise UserError(f"`backbone={name}`: choose one of {', '.join(BACKBONES)}")
    if stem not in STEMS:
        raise UserError(f"`stem={stem}`: choose one of {', '.join(STEMS)}")
    side = None if any_size else image_size
    images = keras.Input((side, side, channels), name="image")
    if stem == "cifar":
        return images, _conv_bn_relu(images, width, 3, 1, synchronized)  # B x S x S x width
    x = _conv_bn_relu(images, width, 7, 2, synchronized)  # B x S/2 x S/2 x width
    x = keras.layers.ZeroPadding2D(1)(x)  # zero is below every value a ReLU lets through
    return images, keras.layers.MaxPooling2D(3, 2)(x)  # B x S/4 x S/4 x width


def _stages(name, x, stages, width, zero_init_last, synchronized):
    """The maps of some of STAGES, which follow each other, by name."""
    blocks, bottleneck = BACKBONES[name]
    maps = {}
    for stage in stages:
        place = STAGES.index(stage)
        for block in range(blocks[place]):
            stride = 2 if place > 0 and block == 0 else 1
            x = _block(x, width * 2**place, stride, bottleneck, zero_init_last, synchronized)
        maps[stage] = x
    return maps


def _pooled(maps):
    """What a ResNet gives next to its stage maps."""
    last = maps[STAGES[-1]]
    # float32 whatever the compute precision: kNN and probes compare embeddings
    embedding = keras.layers.GlobalAveragePooling2D(dtype="float32", name="pool")(last)  # BxD
    return {"embedding": embedding, "map": last}


def _block(x, filters, stride, bottleneck, zero_init_last, synchronized):
    """A residual block; `filters` is the width of its 3×3 convolution."""
    out_filters = 4 * filters if bottleneck else filters
    if bottleneck:
        y = _conv_bn_relu(x, filters, 1, 1, synchronized)
        y = _conv_bn_relu(y, filters, 3, stride, synchronized)
        y = _conv_bn(y, out_filters, 1, 1, synchronized, zero_init_last)
    else:
        y = _conv_bn_relu(x, filters, 3, stride, synchronized)
        y = _conv_bn(y, out_filters, 3, 1, synchronized, zero_init_last)
    if stride != 1 or x.shape[-1] != out_filters:
        x = _conv_bn(x, out_filters, 1, stride, synchronized)
    return keras.layers.ReLU()(keras.layers.Add()([x, y]))


def _conv_bn_relu(x, filters, kernel, stride, synchronized):
    return keras.layers.ReLU()(_conv_bn(x, filters, kernel, stride, synchronized))


def _conv_bn(x, filters, kernel, stride, synchronized, zero_init=False):
    if stride > 1 and kernel > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2)(x)
    padding = "same" if stride == 1 else "valid"
    # torchvision: kaiming_normal_(mode="fan_out", nonlinearity="relu"); an initializer used twice would repeat its draws
    he_fan_out = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    x = keras.layers.Conv2D(filters, kernel, stride, padding, use_bias=False, kernel_initializer=he_fan_out)(x)
    return batch_norm(synchronized, gamma_initializer="zeros" if zero_init else "ones")(x)


def batch_norm(synchronized=False, **kwargs):
    """BatchNorm with PyTorch's constants: ε 1e-5, and momentum 0.9 in Keras's sense (0.1 in PyTorch's).

    Args:
        synchronized: statistics over all replicas (Chen & He, section 3: SyncBN) rather than each replica's own.
        **kwargs: passed on to the layer.

    Returns:
        A `keras.layers.BatchNormalization`.
    """
    return BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=synchronized, **kwargs)
