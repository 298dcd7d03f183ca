"""The tables and figures of the papers, a file each."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow loads: its start-up lines bury ours

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
