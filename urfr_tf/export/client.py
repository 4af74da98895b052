"""A client of TensorFlow Serving for the signatures of an export: gRPC or REST, deadlines, retries, TLS.

Needs tensorflow-serving-api (extra `serving`) for gRPC; REST needs nothing beyond Python.
"""

import base64
import hashlib
import json
import os
import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from urfr_tf import keys
from urfr_tf.errors import UrfrError
from urfr_tf.export.warmup import MODEL_NAME
from urfr_tf.files import read_json
from urfr_tf.runs.card import CARD_IN_SAVED_MODEL, ModelCard
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.fingerprints import fingerprint_saved_model
from urfr_tf.runs.image_batch import check_image_batch
from urfr_tf.runs.thresholds import find_threshold

T = TypeVar("T")
Arrays: TypeAlias = dict[str, NDArray[Any]]
"""The inputs or outputs of a signature, by name."""
Predict: TypeAlias = Callable[[str, Arrays, float], Arrays]
"""Sends one request: (signature, inputs, seconds) -> outputs."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class UnavailableError(Exception):
    """The server cannot be reached or is starting: the one state in which a request is repeated."""


@dataclass(frozen=True)
class Server:
    """Where and how a server is reached.

    Attributes:
        address: `host:port`; of the gRPC port, or with `rest` of the REST port.
        rest: REST instead of gRPC.
        deadline: seconds that one request may take, repetitions included.
        tls: use TLS.
        authority: file with the certificate (PEM) that signs the server's; None for the system's.
    """

    address: str
    rest: bool = False
    deadline: float = 10.0
    tls: bool = False
    authority: str | None = None


class Client:
    """Requests to one server; keeps one channel, may be shared by threads.

    Raises (every method):
        UrfrError: the server refuses the request, answers with an error, or not within the deadline.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._predict = _rest(server) if server.rest else _grpc(server)

    def predict(self, signature: str, inputs: Arrays) -> Arrays:
        """Runs a signature; UNAVAILABLE is repeated with growing pauses until the deadline."""
        end = time.monotonic() + self.server.deadline
        return _persist(
            lambda: self._predict(signature, inputs, max(end - time.monotonic(), 1e-3)), end, self.server
        )

    def embed_crops(self, crops: ArrayLike) -> Arrays:
        """Sends aligned crops to the server.

        Args:
            crops: uint8 or float [B, H, W, 3], RGB, 0..255; fractions are rounded.

        Returns:
            embedding [B, D], confidence and variance [B, K].
        """
        return self._send_crops(_round_pixels(check_image_batch(crops, size=1)))

    def _send_crops(self, crops: NDArray[np.uint8]) -> Arrays:
        if not self.server.rest:
            return self.predict("serving_uint8", {keys.IMAGE: crops})
        import cv2

        # Numbers as JSON take five times the space of a PNG.
        encoded = [cv2.imencode(".png", crop[:, :, ::-1])[1].tobytes() for crop in crops]
        return self.predict("encoded", {"image_bytes": np.array(encoded, object)})

    def make_embedder(self, card: ModelCard) -> Embedder:
        """The server as what `urfr_tf.load` gives; `card` is that of the export it serves
        (`read_served_card`).

        An export's card carries the threshold of its run, which was calibrated with other files: it does not
        count here, and only what `read_served_card` read next to the export does.
        """
        try:
            size, groups, dim = (int(card[key]) for key in ("input_size", "groups", "dim"))
        except (KeyError, TypeError, ValueError) as error:
            raise UrfrError(
                "expected the card of an export (assets/urfr.json) with input_size, groups, dim"
            ) from error
        return Embedder(
            path=self.server.address,
            kind="server",
            input_size=size,
            groups=groups,
            dim=dim,
            fingerprint=str(card.get("served") or _digest(card)),
            compute=lambda crops: self._send_crops(_round_pixels(crops)),
            card=card,
        )


def read_served_card(path: str | os.PathLike[str]) -> ModelCard:
    """The card of the export that a server serves, with the threshold of that very export, or None.

    Args:
        path: its `assets/urfr.json`. Where it still lies in the SavedModel, the threshold that
            `urfr evaluate --far` calibrated with this SavedModel counts; of a card alone, only one without a
            fingerprint, written by hand.

    Returns:
        The card, `threshold`, and `served`: the SavedModel's fingerprint, or "" where it is not at hand.

    Raises:
        UrfrError: no JSON object, or a mangled threshold.
    """
    card = read_json(path)
    if not isinstance(card, dict):
        raise UrfrError(f"expected the card of an export (assets/urfr.json), but got {path}")
    folder = Path(path).resolve().parent.parent
    whole = (folder / "saved_model.pb").is_file() and Path(path).resolve() == folder / CARD_IN_SAVED_MODEL
    served = fingerprint_saved_model(folder) if whole else ""
    threshold = find_threshold("saved_model" if whole else "server", folder, served, card.get("threshold"))
    return {**card, "served": served, "threshold": threshold}


def _round_pixels(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    return np.clip(np.rint(np.asarray(pixels, np.float32)), 0, 255).astype(np.uint8)


def _digest(card: ModelCard) -> str:
    return hashlib.sha256(json.dumps(card, sort_keys=True, default=str).encode("utf-8")).hexdigest()


def _persist(request: Callable[[], T], end: float, server: Server) -> T:
    pause = _FIRST_PAUSE
    while True:
        try:
            return request()
        except UnavailableError as error:
            # Half of the pause at random: clients that lost the same server do not come back together.
            wait = pause * random.uniform(0.5, 1.0)
            if time.monotonic() + wait >= end:
                raise UrfrError(
                    f"the server {server.address} was not available for {server.deadline:g} s: {error}"
                ) from error
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _grpc(server: Server) -> Predict:
    try:
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise UrfrError("gRPC needs tensorflow-serving-api: install urfr-tf[serving], or use REST") from error
    if server.tls:
        roots = _read(server.authority) if server.authority else None
        channel = grpc.secure_channel(server.address, grpc.ssl_channel_credentials(roots))
    else:
        channel = grpc.insecure_channel(server.address)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(signature: str, inputs: Arrays, seconds: float) -> Arrays:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = MODEL_NAME
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            response = stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise UnavailableError(error.details()) from error
            raise UrfrError(
                f"the server {server.address} answered {error.code().name}: {error.details()}"
            ) from error
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    return predict


def _rest(server: Server) -> Predict:
    url = f"{'https' if server.tls else 'http'}://{server.address}/v1/models/{MODEL_NAME}:predict"
    context = ssl.create_default_context(cafile=server.authority) if server.tls else None

    def predict(signature: str, inputs: Arrays, seconds: float) -> Arrays:
        body = {
            "signature_name": signature,
            "inputs": {name: _to_json(value) for name, value in inputs.items()},
        }
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=context) as response:
                outputs = json.load(response)["outputs"]
        except urllib.error.HTTPError as error:
            text = error.read(4096).decode("utf-8", "replace")
            if error.code == 503:
                raise UnavailableError(text) from error
            raise UrfrError(f"the server {server.address} answered {error.code}: {text[:300]}") from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionError):
                raise UnavailableError(str(error.reason)) from error
            raise UrfrError(f"could not ask the server {server.address}: {error.reason}") from error
        except (TimeoutError, ValueError, KeyError, TypeError) as error:
            raise UrfrError(
                f"the server {server.address} gave no answer that can be read: {error}"
            ) from error
        return {name: np.asarray(value, np.float32) for name, value in outputs.items()}

    return predict


def _to_json(value: NDArray[Any]) -> object:
    if value.dtype == object:
        return [{"b64": base64.b64encode(item).decode("ascii")} for item in value]
    return value.tolist()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UrfrError(f"could not read the certificate {path}: {error.strerror or error}") from error
