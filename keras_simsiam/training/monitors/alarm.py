"""What the alarms share: a line that is said once, also across a resume."""

import sys

from tqdm import tqdm

from keras_simsiam.core.errors import worded


class Alarm:
    """Warning of what is first wrong in an epoch's logs, said once.

    Example:
        >>> alarm = Alarm("slow", "a machine that others use")
        >>> alarm(4, "below 1 image/s")
        WARNING: slow in epoch 5 (below 1 image/s). Likely causes: a machine that others use.
    """

    def __init__(self, happening, causes, earlier=()):
        """
        Args:
            happening: what an epoch is said to be.
            causes: the likely ones, with their flags.
            earlier: what was found in the epochs before this start, in words or empty: a resumed run does not say it again.
        """
        self.happening = happening
        self.causes = causes
        self.said = any(list(earlier))  # all of them: to find may be to keep count

    def __call__(self, epoch, finding):
        """Take what is wrong in an epoch (from 0), in words; an empty text where nothing is."""
        if finding and not self.said:
            self.said = True
            text = f"WARNING: {self.happening} in epoch {epoch + 1} ({finding}). Likely causes: {self.causes}."
            tqdm.write(worded(text), file=sys.stderr)
