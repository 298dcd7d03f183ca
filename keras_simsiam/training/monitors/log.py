"""The file and the event log that keep what the other monitors say."""

import json
import os

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import files, keras_compat

FIRST = "first_"  # what the names of the untrained network's numbers, in the first epoch's logs, begin with


class Log(keras.callbacks.Callback):
    """Callback that writes each epoch's numbers to metrics.jsonl and to TensorBoard, with the learning rate.

    TensorBoard's curves begin with the untrained network's numbers, at step 0, where another monitor has them.
    `predictor_learning_rate` stands next to `learning_rate` where the predictor has its own rate.
    """

    def __init__(self, jsonl, writer):
        """
        Args:
            jsonl: path of the file that gets a line an epoch.
            writer: a `tf.summary` writer.
        """
        super().__init__()
        self.jsonl = jsonl
        self.writer = writer

    def on_epoch_begin(self, epoch, logs=None):
        # a schedule's rate is only known to the optimizer after its next step
        optimizer = keras_compat.inner(self.model.optimizer)
        # and not by the optimizer's count: an epoch may be resumed in its middle
        first_step = epoch * self.params["steps"]
        schedules = {"learning_rate": getattr(optimizer, "_learning_rate", optimizer.learning_rate)}
        of_predictor = getattr(self.model, "predictor_variables", [])
        if of_predictor and hasattr(optimizer, "rate_of"):  # keras.optimizers and LAMB have one rate for all
            own = optimizer.rate_of(of_predictor[0])
            if own is not schedules["learning_rate"]:
                schedules["predictor_learning_rate"] = own
        self.rates = {name: float(rate(first_step) if callable(rate) else rate) for name, rate in schedules.items()}

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.rates)
        with files.writing("TensorBoard's events"), self.writer.as_default():
            # those of step 0 first: TensorBoard's curves are in the order of writing
            for name, value in sorted(logs.items(), key=lambda item: not item[0].startswith(FIRST)):
                tf.summary.scalar(name.removeprefix(FIRST), value, 0 if name.startswith(FIRST) else epoch + 1)
            self.writer.flush()
        numbers = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        with files.writing(self.jsonl), open(self.jsonl, "a") as file:
            file.write(json.dumps(numbers) + "\n")


def read(jsonl):
    """The numbers of a run's finished epochs, as `Log` wrote them.

    Args:
        jsonl: path of its metrics.jsonl.

    Returns:
        A list of dicts from names to floats, `epoch` (from 1) among them; empty where there is no such file.
    """
    if not os.path.exists(jsonl):
        return []
    with open(jsonl) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]
