"""Self-supervised learning on RGB-D images: SimSiam, with depth as an HHA image computed by graph operations.

    import keras_simsiam as ks

The names below are the library's front door. docs/api.md says what each is for, examples/simsiam.py puts them together. They
are imported when they are first used, so that a command that needs a part of the library does not wait for all of it.
"""

import importlib

__version__ = "0.1.0"

# name -> (module, name in it)
_FRONT_DOOR = {
    # data
    "Dataset": ("tfrecords.dataset", "Dataset"),
    "Preprocessing": ("keras_simsiam.views.preprocessing", "Preprocessing"),
    "Augmentation": ("keras_simsiam.views.augmentation", "Augmentation"),
    "view_batches": ("keras_simsiam.views.batches", "view_batches"),
    "hha": ("keras_simsiam.depth.hha", "encode"),
    # models and methods
    "build_encoder": ("keras_simsiam.models.encoder", "build_encoder"),
    "projector": ("keras_simsiam.models.heads", "projector"),
    "predictor": ("keras_simsiam.models.heads", "predictor"),
    "dino_projector": ("keras_simsiam.models.heads", "dino_projector"),
    "SimSiam": ("keras_simsiam.methods.simsiam", "SimSiam"),
    "SimCLR": ("keras_simsiam.methods.simclr", "SimCLR"),
    "MoCoV2": ("keras_simsiam.methods.moco", "MoCoV2"),
    "MoCoV3": ("keras_simsiam.methods.mocov3", "MoCoV3"),
    "BYOL": ("keras_simsiam.methods.byol", "BYOL"),
    "SwAV": ("keras_simsiam.methods.swav", "SwAV"),
    "DINO": ("keras_simsiam.methods.dino", "DINO"),
    "BarlowTwins": ("keras_simsiam.methods.barlow", "BarlowTwins"),
    "VICReg": ("keras_simsiam.methods.vicreg", "VICReg"),
    "TorchSGD": ("keras_simsiam.optimization.optimizers", "TorchSGD"),
    # runs
    "RunConfig": ("keras_simsiam.training.config", "RunConfig"),
    "load_config": ("keras_simsiam.training.config", "load_config"),
    "train": ("keras_simsiam.training.run", "train"),
    "load_encoder": ("keras_simsiam.training.run", "load_encoder"),
    # what an encoder is worth
    "features": ("keras_simsiam.probes.features", "features"),
    "knn": ("keras_simsiam.probes.knn", "classify"),
    "linear_probe": ("keras_simsiam.probes.linear", "classify"),
    "evaluate": ("keras_simsiam.evaluation.evaluate", "evaluate"),
    # errors that the caller can correct
    "UserError": ("keras_simsiam.core.errors", "UserError"),
}
__all__ = ["__version__", *_FRONT_DOOR]


def __getattr__(name):
    if name not in _FRONT_DOOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if wrong := importlib.import_module("keras_simsiam.core.versions").problem():
        raise ImportError(wrong)
    module, attribute = _FRONT_DOOR[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value  # from now on without this function
    return value


def __dir__():
    return sorted([*globals(), *_FRONT_DOOR])
