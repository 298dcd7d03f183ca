"""What a run is told of its method and of its heads."""

import dataclasses

from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.methods.build import METHODS


@dataclasses.dataclass(frozen=True)
class MethodSettings(Checked):
    """Which method trains the encoder, and in which variant."""

    method: str = setting("simsiam", "SimSiam, a rival of it, or supervised pre-training.", choices=METHODS)
    compare: str = setting(
        "joint",
        "What is compared of a pair: the joint embeddings; one view's colour with the other's depth; colours with colours, "
        "and apart from them depths with depths.",
        choices=("joint", "cross_modal", "intra_modal"),
    )
    compare_joint: float = setting(
        1.0, "Weight of the loss on the joint embeddings, where `compare_rgb` or another adds one.", low=0
    )
    compare_rgb: float = setting(0.0, "SimSiam, SimCLR: weight of a loss on the colours of both views.", low=0)
    compare_hha: float = setting(0.0, "SimSiam, SimCLR: weight of a loss on the depths of both views.", low=0)
    compare_cross: float = setting(
        0.0, "SimSiam, SimCLR: weight of a loss on one view's colour with the other's depth, both ways.", low=0
    )
    rotation_weight: float = setting(
        0.0, "Weight of a second task: to tell how far depth is turned against colour, in quarters of a circle.", low=0
    )
    symmetric: bool = setting(True, "SimSiam: both views predict each other; false: the first the second.")
    queue_size: int = setting(65536, "MoCo v2: the number of keys of earlier batches that are kept.", low=1)
    projector_layers: int = setting(3, "Layers of the projection head (CIFAR-10 runs of the paper: 2).", low=1)
    head_batch_norm: bool = setting(True, "BatchNorm in projector and predictor, as SimSiam has it.")
    head_dropout: float = setting(0.0, "Dropout rate after each ReLU of projector and predictor.", low=0, below=1)
    stop_gradient: bool = setting(True, "Stop-gradient on the other view's projection; false collapses.")
    projector_width: int = setting(0, "Hidden units of the heads; 0: as published, 2048 to 8192.", low=0)
    prototypes: int = setting(0, "Prototypes of swav and dino; 0: as published, 3000 and 65536.", low=0)
    temperature: float = setting(0.0, "Temperature of the softmax, of dino's student; 0: as published.", low=0)
    teacher_momentum: float = setting(
        0.0, "Momentum of the slowly moving copy, where it rises its first; 0: as published.", low=0, below=1
    )
    alternation: int = setting(1, "SimSiam: steps for which the weights that make the targets stand still.", low=1)
