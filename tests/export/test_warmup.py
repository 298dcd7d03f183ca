import numpy as np
import pytest
import tensorflow as tf

from export import warmup
from export.signatures import inputs
from tests.serving_session import Model


def test_a_request_of_each_signature_is_answered(version):
    model = Model(version)
    for signature, rows in inputs("rgbd").items():
        answer = model.run(signature, warmup.request(rows))
        assert all(np.isfinite(array).all() and len(array) == 1 for array in answer.values())


@pytest.mark.parametrize(("modality", "depth"), [("rgb", False), ("hha", False), ("rgbd", True)])
def test_tensorflow_serving_can_read_them(tmp_path, modality, depth):
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason="needs the extra serving")
    warmup.write(tmp_path, inputs(modality, depth))
    records = list(tf.data.TFRecordDataset(str(tmp_path / "assets.extra" / "tf_serving_warmup_requests")))
    requests = [log.PredictionLog.FromString(record.numpy()).predict_log.request for record in records]
    names = ["serving_default", "tensors", "features_map", *(["depth"] if depth else [])]
    assert [request.model_spec.signature_name for request in requests] == names
    for request in requests:
        rows = inputs(modality, depth)[request.model_spec.signature_name]
        assert set(request.inputs) == {row.name for row in rows}
        for name, array in warmup.request(rows).items():
            np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name]), array)
