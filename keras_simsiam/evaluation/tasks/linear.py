"""--task=linear, linear_sgd, linear_lars: the accuracy of a linear classifier on frozen features."""

import dataclasses

from keras_simsiam.evaluation.tasks import ByModality, Seed, classification
from keras_simsiam.probes import classifiers, linear_sgd


@dataclasses.dataclass(frozen=True)
class Settings(ByModality, Seed):
    """Of every linear probe; the seed is of a recipe's initial weights and order, as L-BFGS draws nothing."""


class Linear:
    """The task of one way to fit a linear classifier, as a task's module is."""

    Settings = Settings

    def __init__(self, recipe=None):
        """
        Args:
            recipe: a name of `linear_sgd.RECIPES`; None: L-BFGS on standardised features (`linear.classify`).
        """
        self.recipe = recipe
        self.name = f"linear_{recipe}" if recipe else "linear"

    def check(self, compared, data, settings):
        """Refuses what `classification.check` refuses.

        Raises:
            UserError: there are no labels; `by_modality` of features that are not colour's and depth's.
        """
        classification.check(self.name, compared, data, settings)

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
        classes = len(data.dataset.classes)
        if self.recipe:
            probe = classifiers.stochastic(linear_sgd.RECIPES[self.recipe], classes, settings.seed)
        else:
            probe = classifiers.logistic(classes)
        return classification.run(self.name, probe, compared, data, output, by_modality=settings.by_modality)
