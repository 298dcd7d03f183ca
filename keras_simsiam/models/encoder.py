"""The encoder: one ResNet tower a modality, side by side, their pooled features concatenated."""

from tensorflow import keras

from keras_simsiam.models.resnet import resnet

MODALITIES = {"rgb": ("rgb",), "hha": ("hha",), "rgbd": ("rgb", "hha")}

# Mean and standard deviation of an input in 0..1. RGB: ImageNet's, as published. HHA: mid-range, so that a view whose HHA
# was dropped (augment.py sets it to 128) is zero to the tower; HHA has no published constants. The fourth channel, where
# there is one, is the mask of what was measured: as it is, so that nothing measured is zero too.
_NORMALISATION = {
    "rgb": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "hha": ((128 / 255,) * 3 + (0.0,), (0.25,) * 3 + (1.0,)),
}


def build_encoder(modality, backbone, image_size, hha_channels=3, **resnet_options):
    """The encoder of a modality.

    `rgbd` lays two backbones side by side (Zhu, section 3 and Figure 2): one learns from RGB, the other from HHA; pooled
    features and feature maps are concatenated. A tower alone is `encoder.get_layer("rgb_tower")` or `"hha_tower"`.

    Args:
        modality: `rgb`, `hha` or `rgbd`.
        backbone: `resnet18` or `resnet50`.
        image_size: S, the side of a view in pixels.
        hha_channels: 3, or 4 where the HHA image has a mask of what was measured beside it.
        **resnet_options: passed on to `resnet` (stem, width, zero_init_last, synchronized).

    Returns:
        A functional model from a view, a dict with `rgb` and/or `hha` float32 [B,S,S,C] in 0..1, to a dict: `embedding`
        float32 [B,D], `map` (the last feature map) and the stage maps `c2` to `c5`, each [B,h,w,C].

    Raises:
        UserError: an unknown backbone or stem.
    """
    channels = {name: hha_channels if name == "hha" else 3 for name in MODALITIES[modality]}
    view = {name: keras.Input((image_size, image_size, channels[name]), name=name) for name in channels}
    features = [
        _tower(name, backbone, image_size, channels=channels[name], **resnet_options)(images)
        for name, images in view.items()
    ]
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


def _tower(name, backbone, image_size, channels, **resnet_options):
    """Normalisation and backbone of one modality, as one model: float32 [B,S,S,C] in 0..1 to a dict of features."""
    mean, std = (constants[:channels] for constants in _NORMALISATION[name])
    images = keras.Input((image_size, image_size, channels), name=name)
    # float32: bfloat16 would round an image's 8 bits before the mean is taken off
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    normalised = keras.layers.Rescaling([1 / s for s in std], offset, dtype="float32")(images)
    return keras.Model(
        images, resnet(backbone, image_size, channels=channels, **resnet_options)(normalised), name=f"{name}_tower"
    )
