"""Warm-up requests that TensorFlow Serving replays before it serves a version."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.system.plain_paths import plain_path

if TYPE_CHECKING:
    from tensorflow.core.framework.tensor_pb2 import TensorProto

MODEL_NAME = "urface"
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
"""Those of `export/serving/batching.config`."""


def write_warmup(folder: Path, size: int, groups: int, dim: int) -> int:
    """Writes a request for every signature and batch size into a SavedModel folder.

    Needs tensorflow-serving-api (extra `serving`); without it nothing is written.

    Args:
        folder: the SavedModel.
        size, groups, dim: S, K, D of the network.

    Returns:
        How many requests were written.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return 0
    path = folder / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with tf.io.TFRecordWriter(plain_path(path)) as writer:
        for signature, inputs in make_requests(size, groups, dim):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = MODEL_NAME
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(_proto(value))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString(deterministic=True))
            count += 1
    return count


def make_requests(size: int, groups: int, dim: int) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Gives signature and inputs of each request."""
    crop = tf.io.encode_png(np.zeros([size, size, 3], np.uint8)).numpy()
    for batch in BATCH_SIZES:
        embedding = np.full([batch, dim], dim**-0.5, np.float32)
        variance = np.full([batch, groups], 0.05, np.float32)
        yield "serving_default", {keys.IMAGE: np.zeros([batch, size, size, 3], np.float32)}
        yield "serving_uint8", {keys.IMAGE: np.zeros([batch, size, size, 3], np.uint8)}
        yield "encoded", {"image_bytes": np.array([crop] * batch, object)}
        yield (
            "compare",
            {
                "embedding_a": embedding,
                "variance_a": variance,
                "embedding_b": embedding,
                "variance_b": variance,
            },
        )
        # As many templates as images: a server with batching refuses an output of another length, and
        # a refused warm-up request keeps the whole model from being served.
        yield (
            "fuse",
            {
                keys.EMBEDDING: embedding,
                keys.VARIANCE: variance,
                "template": np.arange(batch, dtype=np.int32),
            },
        )


def _proto(value: NDArray[Any]) -> "TensorProto":
    """Makes a proto. Of a constant array it holds one number, since the rest of a proto repeats its last
    value.
    """
    proto = tf.make_tensor_proto(value)
    if value.dtype == np.float32 and np.ptp(value) == 0:
        proto.tensor_content = b""
        proto.float_val.append(float(value.flat[0]))
    return proto
