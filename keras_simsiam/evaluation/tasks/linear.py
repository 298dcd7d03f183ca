"""--task=linear: the accuracy of a linear classifier on frozen features."""

from keras_simsiam.evaluation import probes


def check(subject, data):
    """Refuses unlabelled data.

    Raises:
        UserError: there are no labels.
    """
    data.require_labels("linear")


def run(subject, data, output):
    """Classifies the test split of each encoder by `linear.classify`.

    Args:
        subject: a `Subject`.
        data: a `Data`.
        output: Path of the folder for the confusion matrix and the predictions.

    Returns:
        What `probes.run` returns.
    """
    return probes.run("linear", probes.logistic(), subject, data, output)
