"""--task=knn: the accuracy of a weighted vote of the nearest training samples."""

import dataclasses

from keras_simsiam.core.settings import Checked, setting
from keras_simsiam.evaluation.tasks import ByModality, Scaling, classification
from keras_simsiam.probes import classifiers


@dataclasses.dataclass(frozen=True)
class KNN(Scaling, Checked):
    """Of every task that asks kNN."""

    knn_k: int = setting(20, "Number of neighbours that vote in kNN.", low=1)
    knn_temperature: float = setting(0.1, "Temperature T of the kNN votes, exp(cosine / T).", above=0)


@dataclasses.dataclass(frozen=True)
class Settings(KNN, ByModality):
    """Of this task."""


def check(compared, data, settings):
    """Refuses what `classification.check` refuses.

    Raises:
        UserError: there are no labels; `by_modality` of features that are not colour's and depth's.
    """
    classification.check("knn", compared, data, settings)


def run(compared, data, output, settings):
    """Classifies the test split of each encoder by `knn.classify`, of features as they are and scaled.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data`.
        output: Path of the folder for the confusion matrices and the predictions.
        settings: `Settings`; k is capped at the size of the training split.

    Returns:
        What `classification.run` returns, of features as they are, as published; under `scaled` the same of scaled features,
        unless `scaling` is none.
    """
    raw = dataclasses.replace(settings, scaling="none", shrinkage=None)
    given = {"by_modality": settings.by_modality}
    found = classification.run("knn", probe(raw, data), compared, data, output, **given)
    if settings.scaling == "none":
        return found
    given["scale"] = data.scaler(compared, settings)
    scaled = classification.run("knn_scaled", probe(settings, data), compared, data, output, **given)
    return found | {"scaled": scaled, "files": found["files"] + scaled.pop("files")}


def probe(settings, data):
    """The `classifiers.Probe` of kNN on features that are scaled as the settings say.

    Args:
        settings: `KNN`.
        data: a `Data`.
    """
    k = min(settings.knn_k, data.dataset.splits[data.train].count)
    plain = classifiers.nearest(k, settings.knn_temperature, len(data.dataset.classes))
    if settings.scaling == "none":
        return plain
    return dataclasses.replace(
        plain, title=f"{plain.title}, {settings.scaling}", protocol=f"{plain.protocol}; {settings.protocol}"
    )
