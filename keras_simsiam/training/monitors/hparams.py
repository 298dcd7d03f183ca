"""A run's flags with its results, for TensorBoard's HPARAMS page."""

import os

from tensorboard.plugins.hparams import api

from keras_simsiam.core import files

# what the page's columns show of each run, at its last measurement
METRICS = ("knn", "loss", "effective_rank", "std_projection", "images_per_second")


class HParams(api.KerasCallback):
    """Callback that writes the run's flags for TensorBoard's HPARAMS page, which compares the runs under one --logdir.

    The numbers are those that `Log` writes; the page takes each run's last.
    """

    def __init__(self, writer, settings, workdir):
        """
        Args:
            writer: a `tf.summary` writer, that of `Log`.
            settings: dict from a flag's name to its value, a bool, int, float or str.
            workdir: the run's folder, which names the run: the page takes runs of one name together.
        """
        folder, name = os.path.split(os.path.normpath(workdir))
        super().__init__(writer, settings, f"{name} in {folder}")  # the page shows the first few letters
        self.columns = [api.HParam(name) for name in settings]

    def on_train_begin(self, logs=None):
        with files.writing("TensorBoard's events"):
            with self._get_writer().as_default():
                api.hparams_config(self.columns, [api.Metric(name) for name in METRICS])
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        with files.writing("TensorBoard's events"):
            super().on_train_end(logs)
