"""The flags, as TensorBoard's HPARAMS page reads them."""

import tensorflow as tf
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

from keras_simsiam.training.monitors import HParams


def _written(folder):
    """The plugin's records by their tag."""
    (events,) = folder.iterdir()
    return {
        value.tag: plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "hparams"
    }


def test_flags_metrics_and_the_end(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    settings = {"base_lr": 0.05, "method": "simsiam", "symmetric": True, "knn_data_dir": ""}
    callback = HParams(writer, settings, "runs/one/")
    callback.on_train_begin()
    callback.on_train_end()
    writer.close()
    written = _written(tmp_path)
    start = written["_hparams_/session_start_info"].session_start_info
    assert start.hparams["base_lr"].number_value == 0.05 and start.hparams["symmetric"].bool_value
    assert start.hparams["method"].string_value == "simsiam" and start.group_name == "one in runs"
    experiment = written["_hparams_/experiment"].experiment
    assert {info.name for info in experiment.hparam_infos} == set(settings)
    assert {info.name.tag for info in experiment.metric_infos} >= {"knn", "loss"}
    assert written["_hparams_/session_end_info"].session_end_info.status == api_pb2.STATUS_SUCCESS
