"""--task=knn: the accuracy of a weighted vote of the nearest training samples."""

from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.tasks import classification
from keras_simsiam.probes import classifiers


def check(subject, data, k, temperature):
    """Refuses senseless settings and unlabelled data.

    Raises:
        UserError: k or the temperature is not positive; there are no labels.
    """
    if k < 1 or not temperature > 0:
        raise UserError(f"--knn_k={k} and --knn_temperature={temperature:g} must be positive")
    data.require_labels("knn")


def run(subject, data, output, k, temperature):
    """Classifies the test split of each encoder by `knn.classify`.

    Args:
        subject: a `Subject`.
        data: a `Data`.
        output: Path of the folder for the confusion matrix and the predictions.
        k: neighbours; capped at the size of the training split.
        temperature: T of the votes.

    Returns:
        What `classification.run` returns.
    """
    k, num_classes = min(k, data.dataset.splits[data.train].count), len(data.dataset.classes)
    return classification.run("knn", classifiers.nearest(k, temperature, num_classes), subject, data, output)
