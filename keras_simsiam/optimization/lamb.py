"""LAMB, for large batches and transformers: of tensorflow-addons where there is one, else of Keras 3."""

import re
import warnings

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.core.keras_compat import KERAS_3, tf_variable
from keras_simsiam.optimization.optimizers import is_weight

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-6  # of You et al., section 4 and their code


def lamb(learning_rate, weight_decay=0.0, decay="weights"):
    """LAMB: Adam's step, of each variable in proportion to the norm of its weights.

    r = m̂ / (√v̂ + ε);  u = r + wd·w;  w ← w − lr · ‖w‖/‖u‖ · u, the ratio 1 where either norm is zero

    Reference: You et al., Large Batch Optimization for Deep Learning, ICLR 2020, Algorithm 2, with φ the identity; β₁ 0.9,
    β₂ 0.999, ε 1e-6.

    Example:
        >>> method.compile(lamb(1e-3, weight_decay=1e-2))

    Args:
        learning_rate: a float or a schedule.
        weight_decay: wd, within the ratio; not L2 in the gradient.
        decay: `weights`: scales, offsets and biases have neither decay nor ratio, as in the authors' code for BERT; `all`:
            every variable has both.

    Returns:
        A `keras.optimizers.Optimizer`.

    Raises:
        UserError: Keras is 2 and tensorflow-addons is not installed.
    """
    return (_KerasLAMB if KERAS_3 else _AddonsLAMB)(learning_rate, weight_decay, decay)


if KERAS_3:

    class _KerasLAMB(keras.optimizers.Lamb):
        """Keras's LAMB with decay where Algorithm 2 has it: Keras shrinks the weights before the step, outside of the ratio."""

        def __init__(self, learning_rate, weight_decay, decay, name="LAMB"):
            super().__init__(learning_rate, beta_1=_BETA_1, beta_2=_BETA_2, epsilon=_EPSILON, name=name)
            self.decoupled = weight_decay
            self.decay = decay

        def update_step(self, gradient, variable, learning_rate):
            index = self._get_variable_index(variable)
            m, v = tf_variable(self._momentums[index]), tf_variable(self._velocities[index])
            step = tf.cast(self.iterations + 1, variable.dtype)
            m.assign(_BETA_1 * m + (1 - _BETA_1) * gradient)
            v.assign(_BETA_2 * v + (1 - _BETA_2) * gradient * gradient)
            update = m / (1 - _BETA_1**step) / (tf.sqrt(v / (1 - _BETA_2**step)) + self.epsilon)
            rate = tf.cast(learning_rate, variable.dtype)
            if self.decay == "all" or is_weight(variable):
                update += self.decoupled * variable
                weight, length = tf.norm(variable), tf.norm(update)
                rate *= tf.where((weight > 0) & (length > 0), tf.math.divide_no_nan(weight, length), 1.0)
            variable.assign_sub(rate * update)

        def get_config(self):
            return super().get_config() | {"weight_decay": self.decoupled, "decay": self.decay}

else:

    class _AddonsLAMB(keras.optimizers.Optimizer):
        """tensorflow-addons' LAMB, of Keras's earlier kind, as an optimizer of its present one."""

        def __init__(self, learning_rate, weight_decay, decay, name="LAMB"):
            super().__init__(name=name, jit_compile=False)
            self._learning_rate = self._build_learning_rate(learning_rate)
            self.decay = decay
            self.addon = _addons().optimizers.LAMB(learning_rate, _BETA_1, _BETA_2, _EPSILON, weight_decay)

        def build(self, var_list):
            super().build(var_list)
            if self.addon.get_weights():
                return
            self.addon.iterations = self.iterations
            if self.decay == "weights":
                others = [f"^{re.escape(variable.name)}$" for variable in var_list if not is_weight(variable)]
                self.addon.exclude_from_weight_decay = self.addon.exclude_from_layer_adaptation = others
            self.addon._create_all_weights(var_list)

        def update_step(self, gradient, variable):
            self.addon._resource_apply_dense(gradient, variable)

        def get_config(self):
            rate = self._serialize_hyperparameter(self._learning_rate)
            return {"name": self.name, "learning_rate": rate, "decay": self.decay}

    def _addons():
        """tensorflow-addons; imported when it is asked for, as it is slow to load and says each time that it has ended."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import tensorflow_addons
        except ImportError as error:
            raise UserError(
                "`optimizer=lamb` needs tensorflow-addons: pip install tensorflow-addons==0.23.0"
            ) from error
        return tensorflow_addons
