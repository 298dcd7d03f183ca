"""The alarm for collapse, total and dimensional: the loss shows neither."""

from tensorflow import keras

from keras_simsiam.training.monitors.alarm import Alarm
from keras_simsiam.training.monitors.log import FIRST

# below this share of an isotropic output's spread a run counts as collapsed (Chen & He, Figure 2: 0 without stop-gradient)
COLLAPSED = 0.05
# dimensional collapse (Jing et al., ICLR 2022) does not change the spread: the rank has fallen to this share of its highest,
# that of the untrained network included
RANK_FALLEN = 0.1
CAUSES = (
    "`stop_gradient=false`, a `predictor_lr` below 1, a `base_lr` or `weight_decay` too large, heads without BatchNorm, "
    "augmentation too weak (`min_crop` near 1)"
)


class CollapseWarning(keras.callbacks.Callback):
    """Callback that warns once of a collapse: the outputs are all the same, or have kept only a few dimensions."""

    def __init__(self, earlier=()):
        """
        Args:
            earlier: the logs of the run's epochs before this start, so that a resumed run does not say it again.
        """
        super().__init__()
        self.highest = {}
        self.alarm = Alarm("collapsed", CAUSES, map(self.finding, earlier))

    def on_epoch_end(self, epoch, logs=None):
        self.alarm(epoch, self.finding(logs))

    def finding(self, logs):
        """What has collapsed, in words; an empty text where nothing has. Called once an epoch, in their order."""
        spreads = [
            f"{name}={value:.3f}" for name, value in logs.items() if name.startswith("std_") and value < COLLAPSED
        ]
        if spreads:
            return f"{', '.join(spreads)}; healthy is near 1: all samples get the same output"
        self._remember(_ranks(logs, FIRST))
        ranks = _ranks(logs)
        fallen = [
            f"{name}={value:.1f} after {self.highest[name]:.1f}"
            for name, value in ranks.items()
            if value < RANK_FALLEN * self.highest.get(name, 0)
        ]
        self._remember(ranks)
        return f"{', '.join(fallen)}: samples differ in ever fewer dimensions" if fallen else ""

    def _remember(self, values):
        self.highest.update({name: max(value, self.highest.get(name, 0)) for name, value in values.items()})


def _ranks(logs, prefix=""):
    """The ranks among an epoch's logs by their names, without the prefix that marks the untrained network's."""
    begins = prefix + "effective_rank"
    return {name.removeprefix(prefix): value for name, value in logs.items() if name.startswith(begins)}
