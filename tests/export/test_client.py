"""The client against a loopback server that speaks TensorFlow Serving's protos.

The same file runs against a real server of the same export:

    URFR_TEST_GRPC=host:8500 URFR_TEST_REST=host:8501 URFR_TEST_MODEL=EXPORT/saved_model/1 \\
        python -m pytest tests/export/test_client.py
"""

import json
import os
import shutil
import subprocess
import time
from concurrent import futures

import cv2
import numpy as np
import pytest
import tensorflow as tf

import urfr_tf
from urfr_tf.errors import UrfrError
from urfr_tf.export.client import Client, Server
from urfr_tf.export.client_command import main
from urfr_tf.export.saved_model import write_saved_model

grpc = pytest.importorskip("grpc", reason="needs the extra serving")
pytest.importorskip("tensorflow_serving", reason="needs the extra serving")

REAL = {"grpc": os.environ.get("URFR_TEST_GRPC"), "rest": os.environ.get("URFR_TEST_REST")}


@pytest.fixture(scope="module")
def folder(network, card, tmp_path_factory):
    if os.environ.get("URFR_TEST_MODEL"):
        return os.environ["URFR_TEST_MODEL"]
    folder = tmp_path_factory.mktemp("client") / "1"
    write_saved_model(network, folder, card)
    return str(folder)


@pytest.fixture(scope="module")
def loaded(folder):
    return urfr_tf.load(folder)


@pytest.fixture(scope="module")
def crops(loaded):
    size = loaded.input_size
    return np.random.default_rng(2).integers(0, 256, [3, size, size, 3], np.uint8)


@pytest.fixture(scope="module")
def model(folder):
    return tf.saved_model.load(folder)


@pytest.fixture(scope="module")
def servers(model):
    """kind (grpc or rest) -> (address, behaviour), and the servicer; a real server has no behaviour."""
    from loopback import serving

    with serving(model) as servers:
        yield servers


@pytest.fixture(params=["grpc", "rest"])
def kind(request, servers):
    behaviour = servers[request.param][1]
    behaviour.unavailable, behaviour.late, behaviour.requests = 0, 0.0, 0
    return request.param


def server_of(servers, kind, **options):
    return Server(REAL[kind] or servers[kind][0], rest=kind == "rest", **options)


loopback_only = pytest.mark.skipif(any(REAL.values()), reason="needs a server that misbehaves on demand")


def test_embeddings_are_those_of_the_model(servers, kind, loaded, crops):
    outputs = Client(server_of(servers, kind, deadline=60)).embed_crops(crops)
    expected = loaded(crops)
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-4, atol=1e-5)


def test_a_refused_request_is_a_sentence_and_not_repeated(servers, kind):
    behaviour = servers[kind][1]
    with pytest.raises(UrfrError, match="at least|must be"):
        Client(server_of(servers, kind, deadline=60)).embed_crops(np.zeros([1, 8, 8, 3], np.uint8))
    if not REAL[kind]:
        assert behaviour.requests == 1


@loopback_only
def test_unavailable_is_repeated(servers, kind, crops):
    behaviour = servers[kind][1]
    behaviour.unavailable = 2
    assert len(Client(server_of(servers, kind, deadline=60)).embed_crops(crops)["embedding"]) == 3
    assert behaviour.requests == 3


@loopback_only
def test_unavailable_until_the_deadline(servers, kind, crops):
    servers[kind][1].unavailable = 1000
    with pytest.raises(UrfrError, match=r"not available for 0\.5 s: .*starting"):
        Client(server_of(servers, kind, deadline=0.5)).embed_crops(crops)
    # Pauses of 0.05..0.1, 0.1..0.2, 0.2..0.4 s fit into half a second, a fifth request does not.
    assert 2 <= servers[kind][1].requests <= 4


@loopback_only
def test_a_late_answer_is_an_error(servers, kind, crops):
    servers[kind][1].late = 3.0
    with pytest.raises(UrfrError, match="DEADLINE_EXCEEDED|timed out"):
        Client(server_of(servers, kind, deadline=0.3)).embed_crops(crops)


@loopback_only
@pytest.mark.parametrize("rest", [False, True])
def test_nobody_listens(crops, rest):
    with pytest.raises(UrfrError, match=r"127\.0\.0\.1:9 was not available"):
        Client(Server("127.0.0.1:9", rest=rest, deadline=0.3)).embed_crops(crops)


@loopback_only
def test_tls(servers, crops, tmp_path):
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ],
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servers["servicer"], server)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        good = Server(f"localhost:{port}", deadline=60, tls=True, authority=str(certificate))
        assert len(Client(good).embed_crops(crops)["embedding"]) == 3
        with pytest.raises(UrfrError, match="was not available"):  # a certificate that nobody vouches for
            Client(Server(f"localhost:{port}", deadline=1, tls=True)).embed_crops(crops)
    finally:
        server.stop(None)


def test_command(servers, kind, folder, loaded, tmp_path, capsys):
    size = loaded.input_size
    images = np.random.default_rng(3).integers(0, 256, [2, size, size, 3], np.uint8)
    (tmp_path / "images").mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), image[:, :, ::-1])
    words = ["--server", server_of(servers, kind).address, "--card", f"{folder}/assets/urfr.json"]
    words += ["--align", "none", "--deadline", "60", *(["--rest"] if kind == "rest" else [])]
    out = tmp_path / "o.npz"
    assert main([*words, "embed", "--images", str(tmp_path / "images"), "--out", str(out)]) == 0
    assert "2 of 2 images embedded" in capsys.readouterr().out
    expected = loaded(images)
    with np.load(out) as arrays:
        np.testing.assert_allclose(arrays["embedding"], expected["embedding"], rtol=1e-4, atol=1e-5)
    pair = [str(tmp_path / "images" / f"{i}.png") for i in (0, 1)]
    assert main([*words, "compare", *pair]) == 0
    result = json.loads(capsys.readouterr().out)
    cosine = float(expected["embedding"][0] @ expected["embedding"][1])
    assert result["cosine"] == pytest.approx(cosine, abs=1e-4)
    assert main([*words, "compare", pair[0], str(tmp_path / "none.png")]) == 1
    assert "urfr-client compare: expected a photograph" in capsys.readouterr().err


@loopback_only
def test_the_threshold_is_that_of_the_export_that_is_served(servers, folder, loaded, crops, tmp_path, capsys):
    export = tmp_path / "1"
    shutil.copytree(folder, export)
    for i, crop in enumerate(crops[:2]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), crop[:, :, ::-1])
    card, own = export / "assets" / "urfr.json", export / "assets.extra" / "threshold.json"
    own.parent.mkdir(exist_ok=True)
    address = servers["grpc"][0]
    servers["grpc"][1].unavailable, servers["grpc"][1].late = 0, 0.0

    def compare(where):
        words = ["--server", address, "--card", str(where), "--align", "none", "--deadline", "60", "compare"]
        assert main([*words, str(tmp_path / "0.png"), str(tmp_path / "1.png")]) == 0
        said = capsys.readouterr()
        result = json.loads(said.out)
        assert ("no threshold calibrated" in said.err) is (result["threshold"] is None)
        return result["threshold"], result["same"]

    # The card has the threshold of its run, whose fingerprint is that of the weights: other files.
    of_run = {"score": "cosine", "threshold": -1.0, "fingerprint": "of the run"}
    content = json.loads(card.read_text()) | {"threshold": of_run, "weights_sha256": "of the run"}
    card.write_text(json.dumps(content))
    assert compare(card) == (None, None)
    assert Client(Server(address)).make_embedder(content).threshold is None
    # Calibrated with the SavedModel that is served; a cosine is at least -1, and not over 1.01.
    fingerprint = urfr_tf.load(export).fingerprint
    for limit, same in ((-1.01, True), (1.01, False)):
        threshold = {"score": "cosine", "threshold": limit, "kind": "saved_model", "fingerprint": fingerprint}
        own.write_text(json.dumps(threshold))
        assert compare(card) == (threshold, same)
    # Of another export, and a card that was copied away from its export.
    own.write_text(json.dumps(threshold | {"fingerprint": "another"}))
    assert compare(card) == (None, None)
    shutil.copy(card, tmp_path / "urfr.json")
    assert compare(tmp_path / "urfr.json") == (None, None)
    # One written by hand names no fingerprint and is taken.
    by_hand = {"score": "cosine", "threshold": -1.01}
    (tmp_path / "urfr.json").write_text(json.dumps(content | {"threshold": by_hand}))
    assert compare(tmp_path / "urfr.json") == (by_hand, True)


@pytest.mark.slow
@loopback_only
def test_64_clients_for_a_minute(servers, crops):
    """No error, and no growth of memory after the first ten seconds beyond 5 %."""
    import psutil

    process = psutil.Process()
    end = time.monotonic() + 60
    grown = {}

    def work(number):
        client = Client(server_of(servers, "grpc", deadline=120))
        count = 0
        while time.monotonic() < end:
            client.embed_crops(crops[:1])
            count += 1
            if number == 0 and time.monotonic() > end - 50:
                grown.setdefault("first", process.memory_info().rss)
        return count

    servers["grpc"][1].unavailable = 0
    with futures.ThreadPoolExecutor(64) as pool:
        counts = list(pool.map(work, range(64)))
    assert min(counts) > 0
    assert process.memory_info().rss < 1.05 * grown["first"]
