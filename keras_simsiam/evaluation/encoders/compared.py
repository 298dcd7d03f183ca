"""What is evaluated: an encoder, and next to it the same network with the weights that training started from."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import fingerprint
from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation.encoders import imagenet, networks, saved_model
from keras_simsiam.evaluation.encoders.source import FILE, IMAGENET, SAVED_MODEL, EncoderSource
from keras_simsiam.training import run, starting_weights
from keras_simsiam.training.config import MOVABLE
from keras_simsiam.views.preprocessing import Preprocessing

# the last has random weights, in a run that started from --init too
TRAINED, STARTING, UNTRAINED = "trained encoder", "starting weights", "untrained encoder"


@dataclasses.dataclass(frozen=True)
class ComparedEncoders:
    """Encoders of one modality and one preprocessing, by name.

    Attributes:
        source: the `EncoderSource` of the first.
        preprocessing: what a Sample goes through before any of the encoders sees it; of a SavedModel its modality only.
        keys: of each encoder, by its name, a text that decides its weights, such as the SHA-256 of its file. The first is the
            one that was asked for; the others are what it is compared with.
        note: a line on what is missing among them; empty where nothing is.
        parts: equal parts of an embedding, each of one modality (`models.encoder.parts`).
        load: function without arguments to the encoders by name, called when they are first needed: cached features do
            without.
    """

    source: EncoderSource
    preprocessing: Preprocessing
    keys: dict[str, str]
    load: Callable[[], dict[str, keras.Model]]
    note: str = ""
    parts: int = 1
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
            UserError: a file is damaged; a SavedModel holds no Keras model.
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
            batch_size: B; of a SavedModel at most, as samples of one size that follow each other go in one batch.

        Returns:
            An iterator of (embeddings, facts), as `features.embed_each` yields them.
        """
        if self.source.kind == SAVED_MODEL:
            return saved_model.embed(self.source.file, samples, batch_size=batch_size)
        encoders = [self.encoders[name] for name in names]
        return networks.embed(encoders, samples, self.preprocessing, batch_size=batch_size)


def compare(source: EncoderSource) -> ComparedEncoders:
    """Puts an encoder's untrained self next to it, where there is one.

    Args:
        source: an `EncoderSource`.

    Returns:
        `ComparedEncoders`.

    Raises:
        UserError: a SavedModel or a .keras file is damaged, or is no encoder.
    """
    make = {SAVED_MODEL: _of_saved_model, FILE: _of_file, IMAGENET: _of_imagenet}
    return make.get(source.kind, _of_config)(source)


def _of_config(source):
    """Of a run, or of a configuration that no run has: a random network, which is untrained itself."""
    config, keys, load, note = source.config, {}, {}, ""
    if source.file:
        keys[TRAINED], load[TRAINED] = source.sha256, lambda: run.load_encoder(source.file)
    if config.init:
        try:
            starting_weights.check_source(config)
        except UserError as error:
            note = f"no row of the starting weights: {error.args[0]}"
        else:
            keys[STARTING] = _drawn_key(config, "keras_simsiam.training.starting_weights")
            load[STARTING] = lambda: starting_weights.starting_encoder(config)[0]
    drawn = dataclasses.replace(config, init="", init_towers="both", init_sha256="")
    keys[UNTRAINED] = _drawn_key(drawn, "keras_simsiam.training.untrained")
    load[UNTRAINED] = lambda: run.untrained_encoder(drawn)

    def load_all():
        return {name: make() for name, make in load.items()}

    return ComparedEncoders(source, config.preprocessing, keys, load_all, note, config.parts)


def _drawn_key(config, module):
    """Changes with all that decides the weights a run starts from; `module` draws or reads them."""
    facts = {name: value for name, value in dataclasses.asdict(config).items() if name not in MOVABLE}
    return json.dumps([facts, fingerprint.of(module), tf.__version__])


def _of_imagenet(source):
    size, seed = source.network.image_size, source.network.seed
    facts = f"keras.applications.ResNet50, {size} pixels"

    def load():
        keras.utils.set_random_seed(seed)
        return {TRAINED: imagenet.encoder(size, source.file), UNTRAINED: imagenet.encoder(size)}

    keys = {TRAINED: f"{facts}, {source.sha256}", UNTRAINED: f"{facts}, seed {seed}"}
    return ComparedEncoders(source, Preprocessing("rgb", size), keys, load)


def _of_saved_model(source):
    """Nothing untrained can be made of it."""

    def refuse():
        raise UserError(
            f"{source.name} is a SavedModel, which gives embeddings alone: name the run directory that it was exported from"
        )

    modality, parts = saved_model.facts(source.file)
    return ComparedEncoders(source, Preprocessing(modality, None), {TRAINED: source.sha256}, refuse, parts=parts)


def _of_file(source):
    """Of colour only, as a Keras file without a run directory cannot tell how HHA was encoded."""
    path, encoder = source.file, run.load_encoder(source.file)
    tensors = (getattr(encoder, name, None) for name in ("input", "output"))  # a Sequential of Keras 3 may have none
    inputs, outputs = (tensor if isinstance(tensor, dict) else {} for tensor in tensors)
    if "hha" in inputs:
        raise UserError(
            f"{path}: takes HHA, and no flags.txt next to it says how that was encoded: copy that of its run there"
        )
    if set(inputs) != {"rgb"} or not inputs["rgb"].shape[1] or "embedding" not in outputs:
        raise UserError(f"{path}: no encoder, which takes a dict with rgb [B,S,S,3] and gives one with embedding [B,D]")
    return ComparedEncoders(
        source,
        Preprocessing("rgb", inputs["rgb"].shape[1]),
        {TRAINED: source.sha256, UNTRAINED: f"{source.sha256}, newly initialised by {tf.__version__}"},
        lambda: {TRAINED: encoder, UNTRAINED: networks.newly_initialised(encoder)},
    )


def _digest(encoder):
    """A SHA-256 of all weights, moving statistics included."""
    return hashlib.sha256(b"".join(weight.tobytes() for weight in encoder.get_weights())).hexdigest()
