"""The data set that an encoder is evaluated on."""

import dataclasses
from collections.abc import Callable

from keras_simsiam.core.dataset import Dataset
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import corruptions, feature_store
from keras_simsiam.probes import whitening

VALIDATION = "val"


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set, and which of its splits is learnt from and which is measured on.

    Attributes:
        dataset: the data set.
        train: the split that a task learns from, or that is the bank.
        test: the split that is measured on; its labels may reach scores, and nothing else.
        store: the `feature_store.Store` that keeps features.
        batch_size: images embedded at a time.
        progress: function that is told, in a line each, what takes long.
    """

    dataset: Dataset
    train: str
    test: str
    store: feature_store.Store
    batch_size: int = 64
    progress: Callable[[str], None] = lambda line: None

    @property
    def validation(self):
        """The split that chooses an epoch or a rate: `val`, or None where there is none apart from the two others."""
        is_apart = VALIDATION in self.dataset.splits and VALIDATION not in (self.train, self.test)
        return VALIDATION if is_apart else None

    def features(self, compared, split, condition="clean"):
        """The frozen features of a split, extracted once and kept on disk, for other tasks and commands too.

        Args:
            compared: `ComparedEncoders`.
            split: name of the split.
            condition: a name of `corruptions.CONDITIONS`, under which the frames are seen.

        Returns:
            A dict from the encoder's name to `Features`, in the order of `dataset.samples`; the embeddings are a read-only
            memory map.

        Raises:
            UserError: the split is empty; an embedding is not finite; they cannot be kept.
        """
        keys = {
            name: feature_store.key(key, repr(compared.preprocessing), self.dataset.identity(split), condition)
            for name, key in compared.keys.items()
        }

        def embed(names):
            self.progress(f"embedding {self.dataset.splits[split].count} samples of split {split}, {condition}")
            return compared.embed(names, corruptions.under(condition, self.dataset.samples(split)), self.batch_size)

        return self.store.features(keys, self.dataset.splits[split].count, embed)

    def scaler(self, compared, settings):
        """What scales features before they are compared by cosine, fitted to the training split of each encoder.

        Args:
            compared: `ComparedEncoders`.
            settings: a `tasks.Scaling`.

        Returns:
            A function from what `features` returns to the same with scaled embeddings, whatever the split and condition.
        """
        if settings.scaling == "none":
            return lambda found: found
        scalings = {
            name: whitening.fit(train.embeddings, settings.scaling, parts=compared.parts, shrinkage=settings.shrinkage)
            for name, train in self.features(compared, self.train).items()
        }

        def scaled(found):
            return {
                name: dataclasses.replace(each, embeddings=whitening.Scaled(each.embeddings, scalings[name]))
                for name, each in found.items()
            }

        return scaled

    def require_labels(self, task, *others):
        """For a task's `check`: refuses data without labels, as far as dataset.json tells.

        Args:
            task: its name, for the error line.
            others: names of splits whose labels it needs, next to `train` and `test`.

        Raises:
            UserError: there are no classes, or a sample of one of the splits has no label.
        """
        if not self.dataset.classes:
            raise UserError(f"{self.dataset.path} has no classes: `task={task}` needs a labelled data set")
        for name in (self.train, self.test, *others):
            split = self.dataset.splits[name]
            if split.unlabelled:
                raise UserError(
                    f"{self.dataset.path}: split {name} has {split.unlabelled} of {split.count} samples without a label: "
                    f"`task={task}` needs labels"
                )

    def require_depth(self, task):
        """For a task's `check`: refuses data without depth.

        Raises:
            UserError: the frames have no depth.
        """
        if not self.dataset.has_depth:
            raise UserError(f"{self.dataset.path} has no depth: `task={task}` needs RGB-D frames")
