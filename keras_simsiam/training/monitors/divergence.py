"""The alarm for a run that gets worse instead of better."""

import collections
import math
import statistics

from tensorflow import keras

from keras_simsiam.training.monitors.alarm import Alarm
from keras_simsiam.training.monitors.log import FIRST

EXPLODED = 10  # times the median gradient norm of the epochs before
MEDIAN_OF = 10  # epochs
FEWEST = 3  # epochs without which there is no median to speak of
# Above the untrained loss by this much, in nats or cosines, for so many epochs in a row: the first loss is of one batch, and
# falls slowly where the rate is small.
RISEN, EPOCHS_RISEN = 0.1, 2
CAUSES = (
    "a `base_lr` too large for this `batch_size`, a `predictor_lr` factor too large, heads without BatchNorm, damaged or "
    "constant images"
)


class DivergenceWarning(keras.callbacks.Callback):
    """Callback that warns once of divergence: loss not finite or above where it began, or gradients many times what they were.

    Adds `first_loss`, that of the first step, to the first epoch's logs: the loss of the untrained network. A loss that has
    fallen and rises again, as SimSiam's and BYOL's do, is not divergence before it passes that.
    """

    def __init__(self, position, earlier=(), judges_loss=True):
        """
        Args:
            position: the run's `checkpoints.Position`, which remembers the first step's loss.
            earlier: the logs of the run's epochs before this start, so that a resumed run goes on from them.
            judges_loss: False for a method whose loss begins lower than chance, as MoCo's does on a queue of random keys.
        """
        super().__init__()
        self._supports_tf_logs = True  # a step's logs stay on the device until they are read: here once a run
        self.judges_loss = judges_loss
        self.position = position
        self.above = 0
        self.norms = collections.deque(maxlen=MEDIAN_OF)
        self.alarm = Alarm("diverging", CAUSES, map(self.finding, earlier))

    def on_train_batch_end(self, batch, logs=None):
        if self.position.first_loss is None:
            self.position.first_loss = float(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            logs[FIRST + "loss"] = self.position.first_loss
        self.alarm(epoch, self.finding(logs))

    def finding(self, logs):
        """What is wrong, in words; an empty text where nothing is. Called once an epoch, in their order."""
        loss = logs["loss"]
        not_finite = "" if math.isfinite(loss) else f"loss={loss}"
        findings = (not_finite, self._exploded(logs), self._risen(loss))
        return "; ".join(finding for finding in findings if finding)

    def _exploded(self, logs):
        norm = logs.get("gradient_norm", 0.0)
        median = statistics.median(self.norms) if len(self.norms) >= FEWEST else math.inf
        self.norms.append(norm)
        if not 0 < EXPLODED * median < norm:  # 0 where a run is resumed whose log does not have it
            return ""
        return f"gradient_norm={norm:.3g}, {norm / median:.0f} times its median"

    def _risen(self, loss):
        risen = self.judges_loss and loss > self.position.first_loss + RISEN
        self.above = self.above + 1 if risen else 0
        return f"loss={loss:.3g}, it began at {self.position.first_loss:.3g}" if self.above >= EPOCHS_RISEN else ""
