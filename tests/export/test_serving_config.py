"""The files of export/serving: held against TensorFlow Serving's messages, and against each other."""

import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

FOLDER = Path(__file__).parents[2] / "export" / "serving"
COMPOSE = (FOLDER / "compose.yaml").read_text()


def monitoring_config():
    """MonitoringConfig, of monitoring_config.proto of TensorFlow Serving 2.15, which its Python package leaves out."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="monitoring_config.proto", package="tensorflow.serving")
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=field.TYPE_BOOL, label=field.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    config = file.message_type.add(name="MonitoringConfig")
    kind = {"type": field.TYPE_MESSAGE, "type_name": ".tensorflow.serving.PrometheusConfig"}
    config.field.add(name="prometheus_config", number=1, label=field.LABEL_OPTIONAL, **kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.MonitoringConfig"))()


def test_models():
    messages = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2", reason="needs the extra serving"
    )
    config = text_format.Parse((FOLDER / "models.config").read_text(), messages.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.model_platform) == ("rgbd_encoder", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1
    assert f"/v1/models/{model.name} " in COMPOSE  # what the health check asks for
    folder = str(Path(model.base_path).parent)
    assert f"}}:{folder}:ro" in COMPOSE  # where the models are mounted


def test_monitoring():
    config = text_format.Parse((FOLDER / "monitoring.config").read_text(), monitoring_config())
    assert config.prometheus_config.enable
    scraped = re.search(r"metrics_path: (\S+)", (FOLDER / "prometheus.yml").read_text()).group(1)
    assert config.prometheus_config.path == scraped


def test_compose():
    """The server is TensorFlow's version, finds the files it is told to read, and does not batch whole requests."""
    requirements = (FOLDER.parents[1] / "requirements.txt").read_text()
    version = re.search(r"image: tensorflow/serving:(\S+)", COMPOSE).group(1)
    assert f"\ntensorflow=={version};" in requirements
    mounted = dict(re.findall(r"- \./(\S+?):(\S+?):ro", COMPOSE))
    assert all((FOLDER / name).exists() for name in mounted)
    told = re.findall(r"- --\w+_file=(\S+)", COMPOSE)
    assert len(told) == 2 and set(told) <= set(mounted.values())
    assert "- --enable_batching" not in COMPOSE
    port = re.search(r"--rest_api_port=(\d+)", COMPOSE).group(1)
    assert f"/dev/tcp/localhost/{port}" in COMPOSE
    assert f'targets: ["serving:{port}"]' in (FOLDER / "prometheus.yml").read_text()
