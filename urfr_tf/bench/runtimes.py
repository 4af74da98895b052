"""Times models in the runtimes that serve them; run by `urfr bench inference`, once for each Python it needs.

A program of its own: ai-edge-litert and ONNX Runtime are in the benchmark's own environment, whose Python
knows nothing of this project; TensorFlow is in the project's. It reads {"models": {name: [kind, path]},
"size", "batch", "rounds", "threads"} from standard input and prints {name: {"seconds": [...], "peak_bytes":
n}}. The models take turns within each round, so that a drift of the machine meets all of them.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tensorflow as tf

Work: TypeAlias = Callable[[], object]
Images: TypeAlias = NDArray[np.float32]


def main() -> None:
    """Reads the job, measures, prints."""
    job = json.load(sys.stdin)
    images = np.random.default_rng(0).uniform(0, 255, [job["batch"], job["size"], job["size"], 3])
    images = images.astype(np.float32)
    works: dict[str, Work] = {}
    peaks: dict[str, int] = {}
    for model, (kind, path) in job["models"].items():
        make = globals()[f"_{kind}"]
        make(None, images, job["threads"])  # the runtime's libraries do not count as memory of a model
        before = _restart_peak()
        works[model] = make(path, images, job["threads"])
        works[model]()
        peaks[model] = max(0, _memory("VmHWM") - before)
    seconds: dict[str, list[float]] = {model: [] for model in works}
    for _ in range(job["rounds"]):
        for model, work in works.items():
            start = time.perf_counter()
            work()
            seconds[model].append(time.perf_counter() - start)
    print(json.dumps({model: {"seconds": seconds[model], "peak_bytes": peaks[model]} for model in works}))


def _onnx(path: str | None, images: Images, threads: int) -> Work | None:
    import onnxruntime

    if path is None:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: images})


def _litert(path: str | None, images: Images, threads: int) -> Work | None:
    from ai_edge_litert.interpreter import Interpreter

    return None if path is None else _interpreted(Interpreter(path, num_threads=threads), images)


def _tf_lite(path: str | None, images: Images, threads: int) -> Work | None:
    import tensorflow as tf

    return None if path is None else _interpreted(tf.lite.Interpreter(path, num_threads=threads), images)


def _interpreted(interpreter: "tf.lite.Interpreter", images: Images) -> Work:
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, images.shape)
    interpreter.allocate_tensors()
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def work() -> object:
        interpreter.set_tensor(index, images)
        interpreter.invoke()
        return [interpreter.get_tensor(output) for output in outputs]

    return work


def _saved_model(path: str | None, images: Images, threads: int) -> Work | None:
    import tensorflow as tf

    if path is None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        return None
    loaded = tf.saved_model.load(path)
    given = tf.constant(images)
    return lambda: [out.numpy() for out in loaded.signatures["serving_default"](image=given).values()]


def _keras(path: str | None, images: Images, threads: int) -> Work | None:
    """`path` is the name of a backbone."""
    import tensorflow as tf

    from urfr_tf.bench.inference import build_random_network

    if path is None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        return None
    network = build_random_network(path)
    call = tf.function(lambda image: network({"image": image}, training=False), autograph=False)
    given = tf.constant(images)
    return lambda: [out.numpy() for out in call(given).values()]


def _restart_peak() -> int:
    """Lets the kernel count the peak of resident memory anew; what is resident now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


if __name__ == "__main__":
    main()
