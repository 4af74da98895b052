"""A loopback server that speaks TensorFlow Serving's protos, built on the servicer of its official API.

There is no TensorFlow Serving binary on the machines of this project. This one runs the SavedModel's own
signatures. Import it after `pytest.importorskip` of grpc and tensorflow_serving.
"""

import base64
import contextlib
import json
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import tensorflow as tf

from urfr_tf.export.warmup import MODEL_NAME


class Behaviour:
    """What the loopback server does before it answers: so many times unavailable, or so many seconds late."""

    unavailable = 0
    late = 0.0
    requests = 0

    def meet(self):
        """Whether this request is refused as unavailable."""
        self.requests += 1
        time.sleep(self.late)
        self.unavailable -= 1
        return self.unavailable >= 0


@contextlib.contextmanager
def serving(model):
    """Serves what tf.saved_model.load gave: kind (grpc or rest) -> (address, behaviour), and the servicer."""
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    behaviour = Behaviour()

    class Predict(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            if behaviour.meet():
                context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
            assert request.model_spec.name == MODEL_NAME
            inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
            try:
                outputs = model.signatures[request.model_spec.signature_name](**inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return response

    class Rest(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = 200, {}
            if behaviour.meet():
                status, answer = 503, {"error": "starting"}
            elif self.path != f"/v1/models/{MODEL_NAME}:predict":
                status, answer = 404, {"error": "no such model"}
            else:
                data = [base64.b64decode(item["b64"]) for item in body["inputs"]["image_bytes"]]
                try:
                    outputs = model.signatures[body["signature_name"]](image_bytes=tf.constant(data))
                    answer = {"outputs": {name: value.numpy().tolist() for name, value in outputs.items()}}
                except tf.errors.InvalidArgumentError as error:
                    status, answer = 400, {"error": error.message}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    server = grpc.server(futures.ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predict(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield {
        "grpc": (f"127.0.0.1:{port}", behaviour),
        "rest": (f"127.0.0.1:{http.server_address[1]}", behaviour),
        "servicer": Predict(),
    }
    server.stop(None)
    http.shutdown()
