"""Times models in TensorFlow Lite's successor and in ONNX Runtime; run by `urfr bench inference`.

A program of its own, for the Python of the benchmark's own environment: it imports ai-edge-litert,
onnxruntime and NumPy, and nothing of this project. It reads {"files", "size", "batch", "rounds", "threads"}
from standard input and prints {file: {"seconds": [...], "peak_bytes": n}}; the files take turns within
each round, so that a drift of the machine meets all of them.
"""

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np


def main() -> None:
    """Reads the job, measures, prints."""
    job = json.load(sys.stdin)
    images = np.random.default_rng(0).uniform(0, 255, [job["batch"], job["size"], job["size"], 3])
    images = images.astype(np.float32)
    works, peaks = {}, {}
    for file in job["files"]:
        before = _peak()
        works[file] = _work(file, images, job["threads"])
        works[file]()
        works[file]()
        peaks[file] = _peak() - before
    seconds: dict[str, list[float]] = {file: [] for file in works}
    for _ in range(job["rounds"]):
        for file, work in works.items():
            start = time.perf_counter()
            work()
            seconds[file].append(time.perf_counter() - start)
    print(json.dumps({file: {"seconds": seconds[file], "peak_bytes": peaks[file]} for file in works}))


def _work(file: str, images: np.ndarray, threads: int) -> Callable[[], object]:
    if file.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: images})
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(file, num_threads=threads)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, images.shape)
    interpreter.allocate_tensors()
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def run() -> object:
        interpreter.set_tensor(index, images)
        interpreter.invoke()
        return [interpreter.get_tensor(output) for output in outputs]

    return run


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
