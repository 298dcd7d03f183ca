"""The encoder: from a view of one or two modalities to features, by one of several fusions of colour and depth."""

import dataclasses
import functools

from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.keras_compat import symbolic
from keras_simsiam.core.modalities import MODALITIES, NEUTRAL
from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.models.resnet import BACKBONES as RESNETS
from keras_simsiam.models.resnet import STEMS, batch_norm, resnet, resnet_halves
from keras_simsiam.models.vit import BACKBONES as VITS
from keras_simsiam.models.vit import POSITIONS, vit
from keras_simsiam.models.voxels import ResizedAs, Voxels, voxel_net

BACKBONES = (*RESNETS, *VITS)
# the settings that only one kind of backbone has
RESNET_SETTINGS = ("stem", "width", "zero_init_last")
VIT_SETTINGS = ("patch", "positions", "drop_path", "frozen_patch")

# Mean and standard deviation of an input in 0..1. RGB's deviation: ImageNet's, as published. The mask of what was measured
# stays as it is.
NORMALISATION = {
    "rgb": (NEUTRAL["rgb"], (0.229, 0.224, 0.225)),
    "hha": (NEUTRAL["hha"], (0.25,) * 3 + (1.0,)),
}


def build_encoder(
    modality: str,
    backbone: str,
    image_size: int,
    *,
    hha_channels: int = 3,
    fusion: str = "two_tower",
    depth_gate: bool = False,
    missing_token: bool = False,
    voxels: bool = False,
    any_size: bool = False,
    **options,
) -> keras.Model:
    """The encoder of a modality.

    `rgbd` by default lays two backbones side by side (Zhu, section 3 and Figure 2): one learns from RGB, the other from HHA;
    pooled features and feature maps are concatenated. A single tower is `encoder.get_layer("rgb_tower")` or `"hha_tower"`.
    The other fusions: `exchange_c3` and `exchange_c4`, two backbones that hand their maps to each other after that stage;
    `early`, one backbone on the channels of both; `shared`, one backbone on the images of both, its features of the two
    concatenated. docs/fusion.md draws them.

    Example:
        >>> encoder = ks.build_encoder("rgbd", "resnet18", 32, width=8, stem="cifar")
        >>> view = {"rgb": tf.zeros([2, 32, 32, 3]), "hha": tf.zeros([2, 32, 32, 3])}
        >>> encoder(view)["embedding"].shape  # 8 * width per tower
        TensorShape([2, 128])

    Args:
        modality: `rgb`, `hha` or `rgbd`.
        backbone: one of BACKBONES (docs/backbones.md).
        image_size: S, the side of a view in pixels.
        hha_channels: 3, or 4 where the HHA image has also a mask of what was measured.
        fusion: one of FUSIONS; of only `rgb` or `hha`, `two_tower` gives the one tower.
        depth_gate: multiply depth's half of the embedding, not of the maps, by the share of the view whose depth was
            measured. Needs `rgbd`, four HHA channels, and a fusion that keeps the modalities' features apart.
        missing_token: where an image is `modalities.NEUTRAL` throughout, take learnt weights for its features, and zeros for
            its maps: a dropped modality, a frame without depth. Needs `rgbd` and a fusion that keeps the modalities'
            features apart. The weights start at zero.
        voxels: the HHA image is a point map (`depth_input=voxels`), and depth's tower a 3-D CNN on the voxels of its points
            (`models.voxels`), of whatever backbone; colour's is the backbone. Needs `two_tower`, and ResNet-18 or -34, whose
            features are as many as the 3-D CNN's.
        any_size: take views of any height and width, those that the patch divides of a ViT. The weights are those of
            `image_size`, in the same order.
        **options: passed on to `resnet` (stem, width, zero_init_last, synchronized) or to `vit` (patch, positions,
            drop_path, frozen_patch); a ViT has no BatchNorm, and passes over `synchronized`.

    Returns:
        A functional model from a view, a dict with `rgb` and/or `hha` float32 [B,S,S,C] in 0..1, to a dict: `embedding`
        float32 [B,D], `map` (the last feature map) and the stage maps `c2` to `c5`, each [B,h,w,C]; of a ViT, the class token
        and the patches' tokens after each quarter of the blocks. With two modalities the first half of the channels is of
        RGB, the second of HHA, but for `early`.

    Raises:
        UserError: an unknown modality, fusion, backbone, stem or kind of positions, a patch that does not divide the view, or
            an exchange of maps between ViTs, or voxels with another fusion or backbone.
    """
    chosen = ("modality", modality, MODALITIES), ("fusion", fusion, FUSIONS), ("backbone", backbone, BACKBONES)
    for name, value, choices in chosen:
        if value not in choices:
            raise UserError(f"`{name}={value}`: choose one of {', '.join(choices)}")
    channels = {name: hha_channels if name == "hha" else 3 for name in MODALITIES[modality]}
    side = None if any_size else image_size
    view = {name: keras.Input((side, side, channels[name]), name=name) for name in channels}
    if voxels and "hha" in view:
        check_voxels(fusion, backbone)
    if fusion in EXCHANGES:
        if backbone in VITS:
            raise UserError(f"`fusion={fusion}` cuts ResNets: with `backbone={backbone}` use another `fusion`")
        build = functools.partial(resnet_halves, backbone, image_size, EXCHANGES[fusion], any_size=any_size, **options)
    elif backbone in VITS:
        options.pop("synchronized", None)
        build = functools.partial(vit, backbone, image_size, any_size=any_size, **options)
    else:
        build = functools.partial(resnet, backbone, image_size, any_size=any_size, **options)
    features = (_with_voxel_tower if voxels and "hha" in view else FUSIONS[fusion])(view, build)
    if missing_token:
        features = [_with_token(name, view[name], found) for name, found in zip(view, features, strict=True)]
    if depth_gate:
        features[1]["embedding"] = _gated(features[1]["embedding"], view["hha"])
    if len(features) == 1:
        outputs = features[0]
    else:
        # pooling is float32 in every precision; the maps keep the precision they were computed in
        outputs = {
            key: keras.layers.Concatenate(name=key, dtype="float32" if key == "embedding" else None)(
                [feature[key] for feature in features]
            )
            for key in features[0]
        }
    return keras.Model(view, outputs, name=f"{modality}_encoder")


def _two_tower(view, build):
    """A backbone a modality: a list of dicts of features, one of each modality."""
    return [_tower(name, images, build) for name, images in view.items()]


def _with_voxel_tower(view, build):
    """A 3-D CNN for depth, and where there is colour a backbone for it: a list of dicts of features, one of each modality."""
    points = keras.Input(view["hha"].shape[1:], name="hha")
    options = {name: build.keywords[name] for name in VOXEL_OPTIONS if name in build.keywords}
    features = voxel_net(**options)(Voxels(dtype="float32", name="voxels")(points))
    depth = keras.Model(points, features, name="hha_tower")(view["hha"])
    if "rgb" not in view:
        return [depth]
    rgb = _tower("rgb", view["rgb"], build)
    maps = {key: ResizedAs(name=f"hha_{key}")([depth[key], rgb[key]]) for key in depth if key != "embedding"}
    return [rgb, depth | maps]


def _early(view, build):
    """One backbone on the modalities' channels, stacked: a list of one dict of features."""
    stacked = keras.layers.Concatenate(name="stacked")([_normalised(name, images) for name, images in view.items()])
    return [build(channels=stacked.shape[-1])(stacked)]


def _shared(view, build):
    """One backbone on the modalities' images, in one batch: a list of dicts of features, one of each modality.

    One batch and not one after the other: BatchNorm then trains on the statistics of both, the very ones that its moving
    statistics follow. Called twice it would train on each modality's own and infer with a mixture that it never saw.
    """
    rgb, hha = (_normalised(name, images) for name, images in view.items())
    if hha.shape[-1] > rgb.shape[-1]:  # the mask: all of a colour image was measured
        rgb = symbolic.pad(rgb, [[0, 0], [0, 0], [0, 0], [0, 1]], constant_values=1.0)
    both = keras.layers.Concatenate(axis=0, name="batch")([rgb, hha])  # 2BxSxSxC
    features = build(channels=both.shape[-1])(both)
    halves = {key: symbolic.split(feature, 2, axis=0) for key, feature in features.items()}
    return [{key: half[modality] for key, half in halves.items()} for modality in range(2)]


def _exchange(view, build):
    """Two backbones, each of which goes on with its map and what a 1×1 convolution makes of the other's.

    The scale of the convolution's BatchNorm starts at zero: at first these are two towers.
    """
    halves = {name: build(tower=name, channels=images.shape[-1]) for name, images in view.items()}
    lower = {name: halves[name][0](_normalised(name, images)) for name, images in view.items()}
    stage, synchronized = list(lower["rgb"])[-1], build.keywords.get("synchronized", False)
    features = []
    for name, other in (("rgb", "hha"), ("hha", "rgb")):
        given = lower[other][stage]
        taken = keras.layers.Conv2D(given.shape[-1], 1, use_bias=False, name=f"{name}_from_{other}")(given)
        norm = batch_norm(synchronized, gamma_initializer="zeros", name=f"{name}_from_{other}_norm")
        joined = keras.layers.Add(name=f"{name}_{stage}")([lower[name][stage], norm(taken)])
        features.append(lower[name] | {stage: joined} | halves[name][1](joined))
    return features


def check_voxels(fusion, backbone):
    """Refuse a fusion or a backbone that does not go with a 3-D tower: UserError."""
    if fusion != "two_tower":
        raise UserError(f"`fusion={fusion}` has no meaning for a 3-D tower of `depth_input=voxels`: use two_tower")
    if backbone not in VOXEL_BACKBONES:
        raise UserError(
            f"`backbone={backbone}` has other features than the 3-D tower of `depth_input=voxels`: use "
            f"{' or '.join(VOXEL_BACKBONES)}"
        )


EXCHANGES = {"exchange_c3": "c3", "exchange_c4": "c4"}  # the stage after which maps are exchanged
VOXEL_OPTIONS = ("width", "zero_init_last", "synchronized")  # of the backbone that are also a 3-D tower's
VOXEL_BACKBONES = ("resnet18", "resnet34")  # whose features are as many as those of a 3-D tower
APART = ("two_tower", "shared")  # fusions with features of colour alone and of depth alone
FUSIONS = {"two_tower": _two_tower, **dict.fromkeys(EXCHANGES, _exchange), "early": _early, "shared": _shared}


def parts(modality, fusion):
    """The equal parts of an embedding that are of one modality each: 2, colour's and then depth's, or 1."""
    return 2 if modality == "rgbd" and fusion != "early" else 1


@dataclasses.dataclass(frozen=True)
class EncoderSettings(Checked):
    """What an encoder is made of; each field is an argument of `build_encoder`."""

    fusion: str = setting(
        "two_tower",
        "Colour and depth: a backbone each, which may exchange their maps after a stage; stacked channels; or one backbone.",
        choices=FUSIONS,
    )
    depth_gate: bool = setting(False, "Weigh depth's features by the share of a view's depth that was measured.")
    missing_token: bool = setting(
        False, "Learn features that stand for a missing modality, in place of what the tower makes of its mean value."
    )
    backbone: str = setting("resnet18", "The ResNet or ViT of each modality's tower.", choices=BACKBONES)
    stem: str = setting("imagenet", "imagenet: 7x7 stride 2 and max-pool; cifar: 3x3 stride 1.", choices=STEMS)
    width: int = setting(64, "Channels of the backbone's first stage (64 in the paper).", low=1)
    zero_init_last: bool = setting(False, "Start the scale of each residual block's last BatchNorm at zero.")
    patch: int = setting(
        16, "Of a ViT: side of a patch in pixels, which divides `image_size`; published are 16 and 8.", low=1
    )
    positions: str = setting("sincos", "Of a ViT: fixed sine-cosine or learned positions.", choices=POSITIONS)
    drop_path: float = setting(
        0.0, "Of a ViT: rate of stochastic depth in the last block; the first has none.", low=0, below=1
    )
    frozen_patch: bool = setting(False, "Of a ViT: leave the projection of the patches as it starts.")


def _tower(name, images, build):
    """Features of one modality's images, by a model of their normalisation and a backbone."""
    inputs = keras.Input(images.shape[1:], name=name)
    features = build(channels=images.shape[-1])(_normalised(name, inputs))
    return keras.Model(inputs, features, name=f"{name}_tower")(images)


def _normalised(name, images):
    mean, std = (constants[: images.shape[-1]] for constants in NORMALISATION[name])
    # float32: bfloat16 would round an image's 8 bits before the mean is taken off
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    return keras.layers.Rescaling([1 / s for s in std], offset, dtype="float32")(images)


def _gated(embedding, hha):
    """The embedding [B,D] times the mean of the mask in HHA [B,S,S,4], which is in 0..1."""
    measured = keras.layers.GlobalAveragePooling2D(dtype="float32", name="measured")(hha)[:, 3:]  # Bx1
    return keras.layers.Multiply(dtype="float32", name="gated")([embedding, measured])


def _with_token(name, images, features):
    """A modality's features, a token in place of the embedding where the image [B,S,S,C] says nothing, and maps of zeros.

    Of Keras's own layers, so that a saved encoder loads without this package.
    """
    distance = keras.layers.Reshape((-1, 1), dtype="float32")(symbolic.abs(_normalised(name, images)))
    farthest = keras.layers.GlobalMaxPooling1D(dtype="float32")(distance)  # Bx1
    # a resampled constant is off by a few units in the last place, a level of 8 bits by 0.015
    missing = symbolic.cast(symbolic.less(farthest, 0.01), "float32")
    present = keras.layers.Rescaling(-1.0, 1.0, dtype="float32")(missing)
    token = keras.layers.Dense(
        features["embedding"].shape[-1],
        use_bias=False,
        kernel_initializer="zeros",
        dtype="float32",
        name=f"{name}_token",
    )
    embedding = keras.layers.Multiply(dtype="float32")([features["embedding"], present])
    present = keras.layers.Reshape((1, 1, 1))(present)
    maps = {key: keras.layers.Multiply()([map, present]) for key, map in features.items() if key != "embedding"}
    return {"embedding": keras.layers.Add(dtype="float32")([embedding, token(missing)])} | maps
