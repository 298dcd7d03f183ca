"""Keras callbacks that watch a run. None changes it: no draw, no weight and no order depends on them (docs/watching.md)."""

from keras_simsiam.monitors.collapse import COLLAPSED, CollapseWarning
from keras_simsiam.monitors.divergence import DivergenceWarning
from keras_simsiam.monitors.embeddings import Embeddings
from keras_simsiam.monitors.hparams import HParams
from keras_simsiam.monitors.knn import KNN
from keras_simsiam.monitors.log import Log, read
from keras_simsiam.monitors.memory import Memory
from keras_simsiam.monitors.of_run import of_run
from keras_simsiam.monitors.progress import Progress
from keras_simsiam.monitors.views import Views, view_grid

__all__ = [
    "COLLAPSED",
    "KNN",
    "CollapseWarning",
    "DivergenceWarning",
    "Embeddings",
    "HParams",
    "Log",
    "Memory",
    "Progress",
    "Views",
    "of_run",
    "read",
    "view_grid",
]
