"""SGD as PyTorch defines it, on which every published SimSiam number rests, and LARS for large batches on top of it."""

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.keras_compat import MomentumOptimizer

OPTIMIZERS = ("sgd", "lars", "adamw", "lamb")
DECAYS = ("all", "weights")


@keras.utils.register_keras_serializable("keras_simsiam")
class TorchSGD(MomentumOptimizer):
    """SGD with momentum and L2 in the gradient, the learning rate outside the velocity.

    v ← m·v + (g + wd·w);  w ← w − lr·v

    Keras's SGD keeps the learning rate inside the velocity (v ← m·v − lr·g), which differs as soon as the rate moves, and
    its `weight_decay` is decoupled from the gradient.

    Reference: Sutskever et al., ICML 2013, section 2, in the variant of torch.optim.SGD's documentation.

    Example:
        >>> weight = tf.Variable([[1.0]])
        >>> optimizer = ks.TorchSGD(0.1, momentum=0.9, weight_decay=0.5)
        >>> _ = optimizer.apply_gradients([(tf.constant([[1.0]]), weight)])
        >>> round(float(weight[0, 0]), 6)  # 1 - 0.1 * (1 + 0.5 * 1)
        0.85
    """

    def __init__(self, learning_rate, momentum=0.9, weight_decay=0.0, decay="all", overrides=(), name="TorchSGD"):
        """
        Args:
            learning_rate: a float or a schedule.
            momentum: m.
            weight_decay: wd.
            decay: which variables have L2: `all`, BatchNorm's too, as in FAIR's code; or the `weights` of convolutions and
                dense layers only, neither scales, offsets nor biases.
            overrides: pairs (variables, learning rate or schedule) for those that do not follow `learning_rate`, found by
                identity, not by name. They are part of this object only: `get_config` does not hold them.
            name: the optimizer's name.
        """
        super().__init__(learning_rate, overrides, name)
        self.momentum = momentum
        self.l2 = weight_decay
        self.decay = decay

    def move(self, velocity, gradient, variable, rate):
        self._accelerate(velocity, gradient, variable)
        variable.assign_sub(rate * velocity)

    def _accelerate(self, velocity, gradient, variable):
        """Make the velocity the next one."""
        velocity.assign(self.momentum * velocity + gradient)
        if self.decay == "all" or is_weight(variable):
            # apart: of a sum of three TensorFlow makes an AddN, whose order, and last bit, is a matter of what ran before it
            velocity.assign_add(self.l2 * variable)

    def get_config(self):
        return {
            "name": self.name,
            "learning_rate": self.learning_rate_config(),
            "momentum": self.momentum,
            "weight_decay": self.l2,
            "decay": self.decay,
        }


@keras.utils.register_keras_serializable("keras_simsiam")
class LARS(TorchSGD):
    """Layer-wise adaptive rate scaling: each layer's step is in proportion to its weights, so that a large rate is safe.

    u = g + wd·w;  v ← m·v + (η·‖w‖/‖u‖)·u;  w ← w − lr·v, with ‖·‖ over one variable

    Scales, offsets and biases have neither the factor nor L2 (v ← m·v + g), as published with SimCLR, BYOL and MoCo v3. The
    learning rate is outside the velocity, as in the code of BYOL and MoCo v3; You et al. and SimCLR's code have it inside.
    All three codes take ‖g + wd·w‖; You et al. and NVIDIA's LARC, which trained SwAV and SimSiam's linear probe, take
    ‖g‖ + wd·‖w‖ (the same without decay), and LARC leaves no variable out.

    Reference: You, Gitman, Ginsburg: Large Batch Training of Convolutional Networks, 2017, Algorithm 1.

    Example:
        >>> optimizer = LARS(4.8, momentum=0.9, weight_decay=1e-6)
    """

    def __init__(self, learning_rate, momentum=0.9, weight_decay=0.0, trust=1e-3, overrides=(), name="LARS"):
        """
        Args:
            learning_rate: a float or a schedule.
            momentum: m.
            weight_decay: wd.
            trust: η, the trust coefficient.
            overrides: as of `TorchSGD`.
            name: the optimizer's name.
        """
        super().__init__(learning_rate, momentum, weight_decay, "weights", overrides, name)
        self.trust = trust

    def _accelerate(self, velocity, gradient, variable):
        if is_weight(variable):
            gradient += self.l2 * variable
            # η·‖w‖/‖u‖; 1 where either is zero: new layers may start at zero, and a stopped gradient moves nothing.
            weight, update = tf.norm(variable), tf.norm(gradient)
            ratio = tf.math.divide_no_nan(self.trust * weight, update)
            gradient *= tf.where((weight > 0) & (update > 0), ratio, 1.0)
        velocity.assign(self.momentum * velocity + gradient)

    def get_config(self):
        config = super().get_config() | {"trust": self.trust}
        del config["decay"]
        return config


def is_weight(variable):
    """Whether a variable is the weight of a layer, as against a scale, an offset or a bias, which have one dimension."""
    return len(variable.shape) > 1
