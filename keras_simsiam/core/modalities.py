"""What an encoder may look at."""

MODALITIES = {"rgb": ("rgb",), "hha": ("hha",), "rgbd": ("rgb", "hha")}  # the images of a view, by the modality's name
