"""What an encoder may look at."""

# The mean of each image's channels in 0..1, which is zero to the network: what a dropped image is set to. RGB: ImageNet's, as
# published; HHA: mid-range, as it has no published constants. The fourth channel of HHA, where there is one, is the mask of
# what was measured: nothing.
NEUTRAL = {"rgb": (0.485, 0.456, 0.406), "hha": (128 / 255,) * 3 + (0.0,)}

MODALITIES = {"rgb": ("rgb",), "hha": ("hha",), "rgbd": ("rgb", "hha")}  # the images of a view, by the modality's name
