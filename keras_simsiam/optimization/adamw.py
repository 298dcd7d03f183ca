"""AdamW, for transformers: Keras's, with PyTorch's constants."""

from collections.abc import Sequence

from tensorflow import keras

from keras_simsiam.optimization.optimizers import is_weight


def adamw(learning_rate, weight_decay=0.0, *, variables: Sequence, decay: str = "weights"):
    """AdamW: Adam's step, and weights that shrink by the learning rate times the decay, apart from the gradient.

    w ← w − lr·wd·w − lr·m̂ / (√v̂ + ε), β₁ 0.9, β₂ 0.999, ε 1e-8

    Reference: Loshchilov & Hutter, Decoupled Weight Decay Regularization, ICLR 2019, Algorithm 2, its schedule multiplier
    being part of the learning rate, as in PyTorch. DINO and MoCo v3 train their transformers by it.

    Example:
        >>> method.compile(adamw(5e-4, weight_decay=0.04, variables=method.trainable_variables))

    Args:
        learning_rate: a float or a schedule.
        weight_decay: wd.
        variables: what is trained.
        decay: `weights`: scales, offsets and biases do not shrink, as in the code of DINO; `all`: every variable does.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay, epsilon=1e-8)
    optimizer.jit_compile = False  # which Keras 2 would do on a GPU
    if decay == "weights":
        optimizer.exclude_from_weight_decay([variable for variable in variables if not is_weight(variable)])
    return optimizer
