"""The two ways to reach TensorFlow Serving, gRPC and REST: each takes a dict of arrays and gives a dict of arrays.

Both try again, with growing pauses, where the server says that it is unavailable or has too much to do (an embedding may be
asked for twice without harm), and give up when the time is over. tensorflow-serving-api and requests are imported here
alone (the extra serving).
"""

import base64
import json

import numpy as np

from keras_simsiam.core.errors import UserError

_ATTEMPTS = 5  # the most that gRPC allows
_PAUSE = 0.2  # seconds before the second attempt; twice as long before each further one


class Refused(UserError):
    """The server found something wrong with the request: sending it again makes no sense."""


class Grpc:
    """TensorFlow Serving's PredictionService.

    Attributes:
        server: host:port.
        model: the model's name.
        timeout: seconds for a request, all its attempts together.
    """

    def __init__(self, server, model, timeout):
        grpc, self._apis, self._stub = _grpc_modules()
        self.server, self.model, self.timeout, self._grpc = server, model, timeout, grpc
        policy = {
            "maxAttempts": _ATTEMPTS,
            "initialBackoff": f"{_PAUSE}s",
            "maxBackoff": f"{_PAUSE * 2 ** (_ATTEMPTS - 1)}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        service = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
        options = [
            ("grpc.service_config", json.dumps(service)),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
        self._channel = grpc.insecure_channel(server, options=options)
        self._predict = self._stub(self._channel).Predict

    def predict(self, tensors, signature="serving_default"):
        """Run a signature.

        Args:
            tensors: dict of arrays, files as arrays of bytes objects.
            signature: its name.

        Returns:
            A dict of arrays, float32 [B,...].

        Raises:
            Refused: the server's sentence about an input.
            UserError: the server cannot be reached, does not know the model, or did not answer in time.
        """
        import tensorflow as tf

        request = self._apis.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.model, signature
        for name, array in tensors.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        try:
            response = self._predict(request, timeout=self.timeout)
        except self._grpc.RpcError as error:
            raise _mistake(self.server, self.timeout, error.code().name, error.details()) from error
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def close(self):
        """End the connection."""
        self._channel.close()


class Rest:
    """TensorFlow Serving's REST API.

    Attributes:
        server: http://host:port or https://host:port.
        model: the model's name.
        timeout: seconds for an attempt.
    """

    def __init__(self, server, model, timeout):
        requests, retry, adapter = _requests_modules()
        self.server, self.model, self.timeout, self._requests = server.rstrip("/"), model, timeout, requests
        self._session = requests.Session()
        policy = retry(
            total=_ATTEMPTS - 1,
            read=False,  # an answer that did not come in time is not waited for again
            backoff_factor=_PAUSE,
            status_forcelist=[503],
            allowed_methods=None,
            raise_on_status=False,
        )
        self._session.mount(self.server, adapter(max_retries=policy))

    def predict(self, tensors, signature="serving_default"):
        """As `Grpc.predict`."""
        rows = [dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)]
        body = {"signature_name": signature, "instances": [_json(row) for row in rows]}
        url = f"{self.server}/v1/models/{self.model}:predict"
        try:
            response = self._session.post(url, json=body, timeout=self.timeout)
        except self._requests.exceptions.Timeout as error:
            raise _mistake(self.server, self.timeout, "DEADLINE_EXCEEDED", "") from error
        except self._requests.exceptions.RequestException as error:
            raise _mistake(self.server, self.timeout, "UNAVAILABLE", str(error)) from error
        if response.status_code != 200:
            raise _mistake(self.server, self.timeout, *_http_error(response))
        return _arrays(response.json()["predictions"])

    def close(self):
        """End the connection."""
        self._session.close()


def connect(server, model, timeout):
    """`Rest` for an address that begins with http, else `Grpc`."""
    return (Rest if server.startswith(("http://", "https://")) else Grpc)(server, model, timeout)


def sentence(message):
    """What a message of TensorFlow says to a user: without the operation's name and the brackets of an assertion."""
    line = message.split("\n")[0].removeprefix("assertion failed: ")
    return line.replace("[", "", 1).replace("]", "", 1) if message.startswith("assertion failed: [") else line


def _mistake(server, timeout, code, message):
    """The error for the user, by the gRPC status code's name."""
    if code == "INVALID_ARGUMENT":
        return Refused(f"the server refuses it: {sentence(message)}")
    if code == "DEADLINE_EXCEEDED":
        return UserError(f"`server={server}` did not answer within {timeout:g} s: give it more with `timeout`")
    if code == "UNAVAILABLE":
        return UserError(
            f"`server={server}` cannot be reached or has too much to do: is it running, and is this its address?"
        )
    return UserError(f"`server={server}` answers {code}: {sentence(message)}")


_CODES = {400: "INVALID_ARGUMENT", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


def _http_error(response):
    try:
        message = response.json()["error"]
    except (ValueError, KeyError):
        message = response.reason
    return _CODES.get(response.status_code, f"HTTP {response.status_code}"), message


def _json(row):
    """A sample as REST takes it: bytes in base64, numbers as lists."""

    def value(item):
        return {"b64": base64.b64encode(item).decode()} if isinstance(item, bytes) else np.asarray(item).tolist()

    return {name: value(item) for name, item in row.items()}


def _arrays(predictions):
    """REST gives a single output, which is the embedding, by itself, and several in a dict each sample."""
    if not isinstance(predictions[0], dict):
        return {"embedding": np.array(predictions, np.float32)}
    return {name: np.array([row[name] for row in predictions], np.float32) for name in predictions[0]}


def _grpc_modules():
    try:
        import grpc
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install '.[serving]'") from error
    return grpc, predict_pb2, prediction_service_pb2_grpc.PredictionServiceStub


def _requests_modules():
    try:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install '.[serving]'") from error
    return requests, Retry, HTTPAdapter
