"""Encoders as networks: another draw of their weights, and what they make of samples."""

from tensorflow import keras

from keras_simsiam.probes import features
from keras_simsiam.views.batches import clean_batches


def newly_initialised(encoder, seed=0):
    """The same network with other weights, those that a seed draws."""
    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(encoder)


def embed(encoders, samples, preprocessing, *, batch_size):
    """The embeddings of samples, batch by batch, in inference mode.

    Args:
        encoders: a list of functional models from a view to a dict with `embedding` [B,D].
        samples: a tf.data.Dataset of Samples.
        preprocessing: the encoders' `Preprocessing`.
        batch_size: B.

    Returns:
        An iterator of (embeddings, facts), as `features.embed_each` yields them.
    """
    return features.embed_each(encoders, clean_batches(samples, preprocessing, batch_size=batch_size))
