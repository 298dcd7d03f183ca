"""The tables and figures of the papers, a file each."""

import keras_simsiam.core.command  # noqa: F401

# in the order of the report
NAMES = (
    "table1",
    "pretrain_loss",
    "depth_suspects",
    "depth_help",
    "depth_table",
    "depth_loss",
    "hha_gallery",
    "augmentation_samples",
    "method_table",
    "stop_gradient",
    "symmetry",
    "em",
    "predictor_lr",
    "weight_decay",
    "label_fraction",
    "neighbours",
)
