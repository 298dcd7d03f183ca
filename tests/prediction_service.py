"""TensorFlow Serving's gRPC services in this process, on a SavedModel: for tests and benchmarks, not for production.

Requests and answers are tensorflow-serving-api's own messages; the model runs as in the server (serving_session). Around it
is done what the server does: inputs that are missing or unknown are refused, a failure's code and message are handed on.
"""

import concurrent.futures
import contextlib

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving_session import Model

CODES = {code.value[0]: code for code in grpc.StatusCode}


class Services(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Predict, GetModelMetadata and GetModelStatus of one model."""

    def __init__(self, name, model):
        self.name, self.model = name, model

    def Predict(self, request, context):
        """Runs a signature."""
        signature_name = request.model_spec.signature_name or "serving_default"
        self._check(request, signature_name, context)
        try:
            tensors = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
            outputs = self.model.run(signature_name, tensors)
        except tf.errors.OpError as error:
            context.abort(CODES[error.error_code], error.message)
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(request.model_spec)
        for name, array in outputs.items():
            if not request.output_filter or name in request.output_filter:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response

    def GetModelMetadata(self, request, context):
        """The SignatureDefs."""
        self._check_name(request, context)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in self.model.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def GetModelStatus(self, request, context):
        """AVAILABLE."""
        self._check_name(request, context)
        available = get_model_status_pb2.ModelVersionStatus(version=1, state="AVAILABLE")
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[available])

    def _check_name(self, request, context):
        if request.model_spec.name != self.name:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({request.model_spec.name})"
            )

    def _check(self, request, signature_name, context):
        self._check_name(request, context)
        if signature_name not in self.model.signatures:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature_name}" not found.')
        signature = self.model.signatures[signature_name]
        missing = set(signature.inputs) - set(request.inputs) - set(signature.defaults)
        extra = set(request.inputs) - set(signature.inputs)
        if missing or extra:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"input size does not match signature. Sent extra: {extra}. Missing but required: {missing}.",
            )


@contextlib.contextmanager
def served(folder, name="rgbd_encoder", workers=16):
    """Serves a version's folder on a free port of this machine; gives the address, as host:port."""
    services = Services(name, Model(folder))
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(workers), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()
