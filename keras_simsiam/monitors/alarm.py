"""What the alarms share: each speaks once, also across a resume."""

import sys

from tensorflow import keras
from tqdm import tqdm


class Alarm(keras.callbacks.Callback):
    """Says once, loudly, what `finding` first finds in an epoch's logs.

    Example:
        >>> class Slow(Alarm):
        ...     happening, causes = "slow", "a machine that others use"
        ...
        ...     def finding(self, logs):
        ...         return "below 1 image/s" if logs.get("images_per_second", 1) < 1 else ""
    """

    happening = ""  # what an epoch is said to be
    causes = ""  # the likely ones, with their flags

    def __init__(self, earlier=()):
        """
        Args:
            earlier: the logs of the run's epochs before this start, so that a resumed run goes on from them.
        """
        super().__init__()
        self.warned = False
        for logs in earlier:
            self.warned |= bool(self.finding(logs))

    def finding(self, logs):
        """What is wrong in an epoch's logs, in words; an empty text where nothing is. Called once an epoch, in their order."""
        raise NotImplementedError

    def on_epoch_end(self, epoch, logs=None):
        finding = self.finding(logs)
        if finding and not self.warned:
            self.warned = True
            text = f"WARNING: {self.happening} in epoch {epoch + 1} ({finding}). Likely causes: {self.causes}."
            tqdm.write(text, file=sys.stderr)
