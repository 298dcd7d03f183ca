"""The experiments in the order in which the report shows them; their files are in the checkout, in experiments/."""

NAMES = (
    "table1",
    "pretrain_loss",
    "depth_suspects",
    "depth_help",
    "depth_table",
    "depth_loss",
    "hha_gallery",
    "augmentation_samples",
    "invariance",
    "method_table",
    "stop_gradient",
    "symmetry",
    "em",
    "predictor_lr",
    "weight_decay",
    "label_fraction",
    "neighbours",
)
