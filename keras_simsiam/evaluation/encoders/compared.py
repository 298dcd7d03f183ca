"""What is evaluated: an encoder, and beside it the same network untrained."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable

from tensorflow import keras

from keras_simsiam.probes import features
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.batches import clean_batches
from keras_simsiam.views.preprocessing import Preprocessing

TRAINED, UNTRAINED = "trained encoder", "untrained encoder"


@dataclasses.dataclass(frozen=True)
class Subject:
    """Encoders of one modality and one preprocessing, by name.

    Attributes:
        source: what --encoder named.
        preprocessing: what a Sample goes through before any of the encoders sees it.
        keys: of each encoder, by its name, a text that decides its weights, such as the SHA-256 of its file. The first is the
            one that was asked for; the others are what it is compared with.
        load: function without arguments to the encoders by name, called when they are first needed: cached features do
            without.
        sha256: of the file of the first encoder; None of one that has no file.
        seed: of the run that trained it; None where that is not known.
        augmentation: what that run drew for a view; None where that is not known.
    """

    source: str
    preprocessing: Preprocessing
    keys: dict[str, str]
    load: Callable[[], dict[str, keras.Model]]
    sha256: str | None = None
    seed: int | None = None
    augmentation: Augmentation | None = None
    _loaded: dict[str, str] = dataclasses.field(
        default_factory=dict, init=False, repr=False
    )  # weights as they were loaded

    @property
    def names(self):
        """The names of the encoders, the one that was asked for first."""
        return tuple(self.keys)

    @functools.cached_property
    def encoders(self):
        """By name, functional models from a view to a dict of `embedding` [B,D], `map` and `c2`…`c5`, float32.

        They are shared by all tasks: whoever trains one works on a copy (keras.models.clone_model and set_weights).

        Raises:
            UserError: a file is damaged.
        """
        encoders = self.load()
        self._loaded.update({name: _digest(encoder) for name, encoder in encoders.items()})
        return encoders

    def require_unchanged(self):
        """Refuses, by a RuntimeError, that a task has changed an encoder: what it measured would be no frozen features."""
        for name, digest in self._loaded.items():
            if _digest(self.encoders[name]) != digest:
                raise RuntimeError(f"a task has changed the {name}: it must work on a copy")

    def embed(self, names, samples, batch_size):
        """The embeddings of samples, batch by batch, in inference mode.

        Args:
            names: a list of the encoders' names.
            samples: a tf.data.Dataset of Samples.
            batch_size: B.

        Returns:
            An iterator of (embeddings, facts), as `features.embed_each` yields them.
        """
        batches = clean_batches(samples, self.preprocessing, batch_size=batch_size)
        return features.embed_each([self.encoders[name] for name in names], batches)


def newly_initialised(encoder, seed=0):
    """The same network with other weights, those that a seed draws."""
    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(encoder)


def _digest(encoder):
    """A SHA-256 of all weights, moving statistics included."""
    return hashlib.sha256(b"".join(weight.tobytes() for weight in encoder.get_weights())).hexdigest()
