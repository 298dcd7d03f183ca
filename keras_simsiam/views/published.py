"""What published methods draw for a view, by name: probabilities, strengths and crops as their code has them."""

# Chen & He 2021, Appendix A and CIFAR Experiments; FAIR's simsiam/main_simsiam.py, which blurs in its ImageNet runs alone.
# Probabilities hold for all views, or are those of the first, the second and the small crops, the last for all that follow.
_SIMSIAM = {
    "crop": (1.0,),
    "min_crop": 0.2,
    "max_crop": 1.0,
    "flip": (0.5,),
    "jitter": (0.8,),
    "jitter_strength": (0.4, 0.4, 0.4, 0.1),  # brightness, contrast, saturation, hue
    "grayscale": (0.2,),
    "blur": (0.0,),
    "solarize": (0.0,),
    "small_crop": (0.05, 0.14),  # Caron et al. 2020, as for all sets whose papers have no small crops
}
# Chen et al. 2020, Appendix A; google-research/simclr/data_util.py: colour distortion of strength 1
_SIMCLR = _SIMSIAM | {"min_crop": 0.08, "jitter_strength": (0.8, 0.8, 0.8, 0.2), "blur": (0.5,)}
# Grill et al. 2020, Appendix B; deepmind-research/byol/utils/augmentations.py
_BYOL = _SIMSIAM | {
    "min_crop": 0.08,
    "jitter_strength": (0.4, 0.4, 0.2, 0.1),
    "blur": (1.0, 0.1),
    "solarize": (0.0, 0.2),
}
SETS = {
    "simsiam": _SIMSIAM,
    "mocov2": _SIMSIAM | {"blur": (0.5,)},  # Chen et al. 2020; SimSiam's too on ImageNet
    "simclr": _SIMCLR,
    "swav": _SIMCLR,  # Caron et al. 2020; swav/src/multicropdataset.py and swav_400ep_2x224_pretrain.sh
    "byol": _BYOL,
    "barlow": _BYOL,  # Zbontar et al. 2021; barlowtwins/main.py
    # Bardes et al. 2022, appendix: both views are drawn alike
    "vicreg": _BYOL | {"blur": (0.5,), "solarize": (0.1,)},
    "mocov3": _BYOL,  # Chen et al. 2021; moco-v3/main_moco.py, whose ResNet-50 crops from 0.2
    # Caron et al. 2021; dino/main_dino.py and what its help says of crops without small ones
    "dino": _BYOL | {"min_crop": 0.14, "blur": (1.0, 0.1, 0.5), "solarize": (0.0, 0.2, 0.0), "small_crop": (0.05, 0.4)},
    "none": _SIMSIAM | dict.fromkeys(("crop", "flip", "jitter", "grayscale"), (0.0,)),
}
# Smallest area of the two large crops where small ones come with them.
_MIN_CROP_WITH_SMALL = {"swav": 0.14, "dino": 0.4}


def drawn(name, small_crops=0):
    """The settings of `Augmentation` that a published set decides.

    Args:
        name: one of SETS.
        small_crops: how many small crops come with the two views; SwAV's and DINO's large ones are then larger.

    Returns:
        A dict from a setting's name to its value.
    """
    larger = _MIN_CROP_WITH_SMALL if small_crops else {}
    return SETS[name] | {"min_crop": larger.get(name, SETS[name]["min_crop"])}
