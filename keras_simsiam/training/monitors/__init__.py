"""Keras callbacks that watch a run. None changes it: no draw, no weight and no order depends on them (docs/watching.md)."""

from keras_simsiam.training.monitors.collapse import COLLAPSED, CollapseWarning
from keras_simsiam.training.monitors.divergence import DivergenceWarning
from keras_simsiam.training.monitors.embeddings import Embeddings
from keras_simsiam.training.monitors.hparams import HParams
from keras_simsiam.training.monitors.knn import KNN
from keras_simsiam.training.monitors.log import Log, read
from keras_simsiam.training.monitors.memory import Memory
from keras_simsiam.training.monitors.progress import Progress
from keras_simsiam.training.monitors.run_callbacks import run_callbacks
from keras_simsiam.training.monitors.views import Views, view_grid

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
    "read",
    "run_callbacks",
    "view_grid",
]
