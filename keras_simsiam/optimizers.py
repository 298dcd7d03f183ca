"""SGD as PyTorch defines it: every published SimSiam number rests on it, and Keras's differs."""

import tensorflow as tf
from tensorflow import keras


class TorchSGD(keras.optimizers.Optimizer):
    """SGD with momentum and L2 in the gradient, the learning rate outside the velocity.

    v ← m·v + (g + wd·w);  w ← w − lr·v

    Keras's SGD keeps the learning rate inside the velocity (v ← m·v − lr·g), which differs as soon as the rate moves, and
    its `weight_decay` is decoupled from the gradient. Weight decay applies to every variable, BatchNorm's too, as in FAIR's
    code.

    Reference: Sutskever et al., ICML 2013, section 2, in the variant of torch.optim.SGD's documentation.

    Example:
        >>> optimizer = TorchSGD(0.05, momentum=0.9, weight_decay=1e-4)
        >>> optimizer.apply_gradients(zip(gradients, variables))
    """

    def __init__(self, learning_rate, momentum=0.9, weight_decay=0.0, overrides=(), name="TorchSGD"):
        """
        Args:
            learning_rate: a float or a schedule.
            momentum: m.
            weight_decay: wd, L2 on every variable.
            overrides: pairs (variables, learning rate or schedule) for those that do not follow `learning_rate`, found by
                identity, not by name. They are part of this object only: `get_config` does not hold them.
            name: the optimizer's name.
        """
        # Keras's own weight_decay stays unset: it is decoupled from the gradient
        super().__init__(name=name, jit_compile=False)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum = momentum
        self.l2 = weight_decay
        # the bound method rather than the dict, which Keras would wrap and try to checkpoint
        self._override = {self._var_key(variable): rate for variables, rate in overrides for variable in variables}.get

    def build(self, var_list):
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self.velocities = [self.add_variable_from_reference(variable, "velocity") for variable in var_list]

    def rate_of(self, variable):
        """The learning rate that a variable follows, a scalar or a schedule: the optimizer's, or its override."""
        return self._override(self._var_key(variable), self._learning_rate)

    def update_step(self, gradient, variable):
        key = self._var_key(variable)
        rate = self._override(key, self.learning_rate)
        if callable(rate):
            rate = rate(self.iterations)
        velocity = self.velocities[self._index_dict[key]]
        velocity.assign(self.momentum * velocity + gradient + self.l2 * variable)
        variable.assign_sub(tf.cast(rate, variable.dtype) * velocity)

    def get_config(self):
        return {
            "name": self.name,
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "momentum": self.momentum,
            "weight_decay": self.l2,
        }
