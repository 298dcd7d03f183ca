"""--task=knn: the accuracy of a weighted vote of the nearest training samples."""

import dataclasses

from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.evaluation.tasks import classification
from keras_simsiam.probes import classifiers


@dataclasses.dataclass(frozen=True)
class Settings(Checked):
    """Of every task that asks kNN."""

    knn_k: int = setting(20, "Number of neighbours that vote in kNN.", low=1)
    knn_temperature: float = setting(0.1, "Temperature T of the kNN votes, exp(cosine / T).", above=0)


def check(compared, data, settings):
    """Refuses unlabelled data.

    Raises:
        UserError: there are no labels.
    """
    data.require_labels("knn")


def run(compared, data, output, settings):
    """Classifies the test split of each encoder by `knn.classify`.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for the confusion matrix and the predictions.
        settings: `Settings`; k is capped at the size of the training split.

    Returns:
        What `classification.run` returns.
    """
    k, num_classes = min(settings.knn_k, data.dataset.splits[data.train].count), len(data.dataset.classes)
    probe = classifiers.nearest(k, settings.knn_temperature, num_classes)
    return classification.run("knn", probe, compared, data, output)
