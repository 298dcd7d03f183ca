"""--task=linear, linear_sgd, linear_lars: the accuracy of a linear classifier on frozen features."""

from keras_simsiam.evaluation.tasks import classification
from keras_simsiam.probes import classifiers, linear_sgd


def check(subject, data, recipe=None, seed=0):
    """Refuses unlabelled data.

    Raises:
        UserError: there are no labels.
    """
    data.require_labels(_name(recipe))


def run(subject, data, output, recipe=None, seed=0):
    """Classifies the test split of each encoder.

    Args:
        subject: a `Subject`.
        data: a `Data`.
        output: Path of the folder for the confusion matrix and the predictions.
        recipe: a name of `linear_sgd.RECIPES`; None: L-BFGS on standardised features (`linear.classify`).
        seed: of a recipe's initial weights and order.

    Returns:
        What `classification.run` returns.
    """
    probe = classifiers.logistic()
    if recipe:
        probe = classifiers.stochastic(linear_sgd.RECIPES[recipe], len(data.dataset.classes), seed)
    return classification.run(_name(recipe), probe, subject, data, output)


def _name(recipe):
    return f"linear_{recipe}" if recipe else "linear"
