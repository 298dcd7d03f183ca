"""A SavedModel run as TensorFlow Serving runs it: in a session, given tensors by the names of the SignatureDef."""

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2


class Model:
    """A version of a model: its signatures, and a session to run them in."""

    def __init__(self, folder):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self.signatures = loaded.signature_def
        self._calls = {}

    def run(self, signature_name, tensors):
        """The outputs of a signature, dict of arrays, from a dict of inputs of any types and shapes."""
        signature = self.signatures[signature_name]
        given = {name: tf.make_ndarray(proto) for name, proto in signature.defaults.items()} | tensors
        outputs = self._call(signature_name)(*(given[name] for name in signature.inputs))
        return dict(zip(signature.outputs, outputs, strict=True))

    def _call(self, signature_name):
        """Session.run would convert what it is given to the types of the graph; the server does not, nor does this."""
        if signature_name not in self._calls:
            signature = self.signatures[signature_name]
            options = config_pb2.CallableOptions(
                feed=[tensor.name for tensor in signature.inputs.values()],
                fetch=[tensor.name for tensor in signature.outputs.values()],
            )
            self._calls[signature_name] = self._session._make_callable_from_options(options)
        return self._calls[signature_name]
