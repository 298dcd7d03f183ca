"""What a run is told of its optimizer and of the rates that it follows."""

import dataclasses

from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.optimization.optimizers import DECAYS, OPTIMIZERS
from keras_simsiam.optimization.schedules import STEPS


@dataclasses.dataclass(frozen=True)
class OptimizerSettings(Checked):
    """How long, in which steps and at which rates a method is trained."""

    batch_size: int = setting(64, "Samples in a step, over all devices.", low=1)
    epochs: int = setting(100, "Passes over the training split.", low=1)
    base_lr: float = setting(0.05, "Learning rate of a batch of 256; it scales with the batch.", low=0)
    accumulate: int = setting(
        1,
        "Parts that a batch is computed in, one after the other, for one step: it takes the memory of a part, and BatchNorm "
        "and the comparisons of a loss see a part.",
        low=1,
    )
    weight_decay: float = setting(
        1e-4,
        "L2, added to the gradient as PyTorch does, or of AdamW and LAMB decoupled from it; `decay` says on what.",
        low=0,
    )
    predictor_lr: str = setting("cosine", "The predictor's learning rate: cosine, fixed, or a factor of the rest's.")
    optimizer: str = setting(
        "sgd", "PyTorch's SGD; LARS or LAMB, for batches of thousands; AdamW, for transformers.", choices=OPTIMIZERS
    )
    decay: str = setting("all", "L2 on all parameters, or on none of BatchNorm's and no biases.", choices=DECAYS)
    warmup_epochs: float = setting(0.0, "Epochs in which the learning rate rises from zero, step by step.", low=0)
    cosine_per: str = setting("epoch", "The learning rate falls once an epoch, or at every step.", choices=STEPS)
