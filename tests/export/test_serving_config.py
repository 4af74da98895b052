"""What a serving deployment needs: text protos, the compose file, warm-up requests.

There is no TensorFlow Serving binary where these tests run: they parse `models.config` with the protos of
tensorflow-serving-api, the other two with messages of the same fields (the package has no protos for
them), and replay the warm-up on the SavedModel's own signatures.
"""

import re
from pathlib import Path

import pytest
import tensorflow as tf
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from paths import ROOT

from urfr_tf.export.saved_model import write_saved_model
from urfr_tf.export.warmup import BATCH_SIZES, MODEL_NAME, WARMUP_FILE, write_warmup

SERVING = ROOT / "export" / "serving"


@pytest.fixture(scope="module")
def messages():
    """BatchingParameters and MonitoringConfig with the field names and types of TensorFlow Serving 2.15."""
    from google.protobuf import wrappers_pb2

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="urfr_test.proto", package="urfr_test", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")

    def message(name, fields):
        entry = file.message_type.add(name=name)
        for number, (key, (kind, type_name, label)) in enumerate(fields.items(), start=1):
            entry.field.add(name=key, number=number, type=kind, type_name=type_name, label=label)

    integer = (field.TYPE_MESSAGE, ".google.protobuf.Int64Value", field.LABEL_OPTIONAL)
    message(
        "BatchingParameters",
        {
            "max_batch_size": integer,
            "batch_timeout_micros": integer,
            "max_enqueued_batches": integer,
            "num_batch_threads": integer,
            "thread_pool_name": (field.TYPE_MESSAGE, ".google.protobuf.StringValue", field.LABEL_OPTIONAL),
            "allowed_batch_sizes": (field.TYPE_INT64, None, field.LABEL_REPEATED),
            "pad_variable_length_inputs": (field.TYPE_BOOL, None, field.LABEL_OPTIONAL),
        },
    )
    message(
        "PrometheusConfig",
        {
            "enable": (field.TYPE_BOOL, None, field.LABEL_OPTIONAL),
            "path": (field.TYPE_STRING, None, field.LABEL_OPTIONAL),
        },
    )
    message(
        "MonitoringConfig",
        {"prometheus_config": (field.TYPE_MESSAGE, ".urfr_test.PrometheusConfig", field.LABEL_OPTIONAL)},
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"urfr_test.{name}"))
        for name in ("BatchingParameters", "MonitoringConfig")
    }


def test_models_config():
    config_pb2 = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2", reason="needs the extra serving"
    )
    config = text_format.Parse((SERVING / "models.config").read_text(), config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (MODEL_NAME, "/models/urface", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_batching_config_has_the_sizes_of_the_warm_up(messages):
    config = text_format.Parse((SERVING / "batching.config").read_text(), messages["BatchingParameters"]())
    assert tuple(config.allowed_batch_sizes) == BATCH_SIZES
    # The server refuses sizes that do not rise or do not end with the maximum.
    assert config.max_batch_size.value == BATCH_SIZES[-1] and sorted(BATCH_SIZES) == list(BATCH_SIZES)
    assert config.num_batch_threads.value >= 1 and config.batch_timeout_micros.value > 0


def test_monitoring_config(messages):
    config = text_format.Parse((SERVING / "monitoring.config").read_text(), messages["MonitoringConfig"]())
    assert config.prometheus_config.enable and config.prometheus_config.path.startswith("/")


def test_compose_file():
    compose = yaml.safe_load((SERVING / "compose.yaml").read_text())
    embed, templates = (compose["services"][name] for name in ("embed", "templates"))
    assert embed["image"] == templates["image"] == "tensorflow/serving:2.15.1"
    for service in (embed, templates):
        files = [word.split("=", 1)[1] for word in service["command"] if "/config/" in word]
        assert all((SERVING / Path(name).name).is_file() for name in files)
        assert "AVAILABLE" in service["healthcheck"]["test"][-1]
    # `fuse` must not be batched: templates of different clients would be mixed.
    assert "--enable_batching=true" in embed["command"]
    assert not [word for word in templates["command"] if "batching" in word]


def test_warm_up_runs_on_every_signature(network, card, tmp_path):
    log_pb2 = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="needs the extra serving"
    )
    write_saved_model(network, tmp_path / "1", card)
    count = write_warmup(tmp_path / "1", card["input_size"], card["groups"], card["dim"])
    model = tf.saved_model.load(str(tmp_path / "1"))
    seen = []
    for record in tf.data.TFRecordDataset(str(tmp_path / "1" / WARMUP_FILE)):
        request = log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == MODEL_NAME
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        outputs = model.signatures[request.model_spec.signature_name](**inputs)
        (batch,) = {value.shape[0] for value in outputs.values()}
        seen.append((request.model_spec.signature_name, batch))
    assert len(seen) == count
    assert sorted(seen) == sorted((name, batch) for name in model.signatures for batch in BATCH_SIZES)
    # Constant images are not written out pixel by pixel: 32 float images of 32 x 32 alone would be 393 KB.
    assert (tmp_path / "1" / WARMUP_FILE).stat().st_size < 300_000


@pytest.mark.parametrize("page", [SERVING.parent / "README.md", SERVING / "README.md"])
def test_pages_name_files_that_there_are(page):
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"`((?:serving/|urfr_tf/)?[\w./]+(?:\.config|\.yaml|/README\.md|export/))`", text)
    assert len(names) >= 4
    for name in names:
        assert (page.parent / name).exists() or (ROOT / name).exists(), name
    for path in re.findall(r"(?:export/serving|tests/export)/[\w.]+", text):
        assert (ROOT / path).is_file(), path
