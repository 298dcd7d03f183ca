"""MoCo v2: He et al., Momentum Contrast, CVPR 2020, Algorithm 1, with the head and the views of Chen et al. 2020 (v2)."""

import tensorflow as tf

from keras_simsiam.core.keras_compat import add_variable
from keras_simsiam.methods import replicas
from keras_simsiam.methods.base import Method, project


class MoCoV2(Method):
    """A view is to be found among the keys of earlier batches, which a slowly moving copy of the network made.

    The published code shuffles samples among GPUs, so that a key's BatchNorm statistics do not give its query away; here
    BatchNorm is synchronised over the replicas instead, as in later work.

    Example:
        >>> encoder = ks.build_encoder("rgb", "resnet18", 32, width=4)
        >>> method = ks.MoCoV2(encoder, ks.projector(32, outputs=128, layers=2, batch_norms=False), queue_size=1024)
    """

    def __init__(self, encoder, projector, *, queue_size=65536, temperature=0.2, momentum=0.999, name="mocov2"):
        """
        Args:
            encoder: a model from a view to a dict with `embedding` [B,D].
            projector: the MLP, [B,D] to [B,d].
            queue_size: K, the number of keys that are kept; at least the global batch.
            temperature: τ.
            momentum: m of the key network.
            name: the method's name.
        """
        super().__init__(encoder, ("projection",), name=name)
        self.projector = projector
        self.key_encoder = replicas.copy_of(encoder, dropout=False)
        self.key_projector = replicas.copy_of(projector)
        self.copies = (self.key_encoder, self.key_projector)
        self.temperature = temperature
        self.momentum = momentum
        keys = tf.random.normal([queue_size, projector.output_shape[-1]])
        # every replica enqueues the whole global batch, so all write the same
        self.queue = add_variable(self, "queue", tf.math.l2_normalize(keys, axis=1))
        self.place = add_variable(self, "place", tf.constant(0))

    def objective(self, batch):
        """InfoNCE of the first view's query with the second's key and the queue (Eq. 1).

        Args:
            batch: `views`: two views of the same samples, each a dict of float32 [B,S,S,C].

        Returns:
            A float32 scalar, the mean over this replica's share of the batch.
        """
        first, second = batch["views"]
        query = project(self.encoder, self.projector, first)  # Bxd
        key = project(self.key_encoder, self.key_projector, second)  # Bxd
        self.watch(projection=query)
        query, key = tf.math.l2_normalize(query, axis=1), tf.stop_gradient(tf.math.l2_normalize(key, axis=1))
        loss = info_nce(query, key, tf.convert_to_tensor(self.queue), self.temperature)
        self._enqueue(replicas.gather(key))
        return loss

    def after_step(self):
        replicas.move(self.copies, (self.encoder, self.projector), self.momentum)

    def _enqueue(self, keys):
        size, count = self.queue.shape[0], tf.shape(keys)[0]
        places = (self.place + tf.range(count)) % size
        self.queue.assign(tf.tensor_scatter_nd_update(self.queue, places[:, tf.newaxis], keys))
        self.place.assign((self.place + count) % size)


def info_nce(query, key, queue, temperature):
    """−log( exp(q·k₊/τ) / (exp(q·k₊/τ) + Σ_queue exp(q·k/τ)) ), mean over the batch (He et al., Eq. 1).

    Args:
        query, key: float32 [B,d], of length 1; key i is query i's positive.
        queue: float32 [K,d], of length 1, the negatives.
        temperature: τ > 0.

    Returns:
        A float32 scalar.
    """
    positive = tf.reduce_sum(query * key, axis=1, keepdims=True)  # Bx1
    negative = tf.matmul(query, queue, transpose_b=True)  # BxK
    logits = tf.concat([positive, negative], axis=1) / temperature
    labels = tf.zeros([tf.shape(logits)[0]], tf.int32)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
