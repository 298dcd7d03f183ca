"""--task=linear, linear_sgd, linear_lars: the accuracy of a linear classifier on frozen features."""

from keras_simsiam.evaluation.tasks import Seed, classification
from keras_simsiam.probes import classifiers, linear_sgd


class Linear:
    """The task of one way to fit a linear classifier, as a task's module is."""

    Settings = Seed  # of a recipe's initial weights and order; L-BFGS draws nothing

    def __init__(self, recipe=None):
        """
        Args:
            recipe: a name of `linear_sgd.RECIPES`; None: L-BFGS on standardised features (`linear.classify`).
        """
        self.recipe = recipe
        self.name = f"linear_{recipe}" if recipe else "linear"

    def check(self, compared, data, settings):
        """Refuses unlabelled data.

        Raises:
            UserError: there are no labels.
        """
        data.require_labels(self.name)

    def run(self, compared, data, output, settings):
        """Classifies the test split of each encoder.

        Args:
            compared: `ComparedEncoders`.
            data: a `Data`.
            output: Path of the folder for the confusion matrix and the predictions.
            settings: `Settings`.

        Returns:
            What `classification.run` returns.
        """
        probe = classifiers.logistic()
        if self.recipe:
            recipe = linear_sgd.RECIPES[self.recipe]
            probe = classifiers.stochastic(recipe, len(data.dataset.classes), settings.seed)
        return classification.run(self.name, probe, compared, data, output)
