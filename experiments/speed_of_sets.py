"""The speed of the two sets of packages in one run, as ratios: steps, inference and imports, in turns.

    python -m experiments.speed_of_sets .venv/bin/python .venv-tf2/bin/python [--rounds 15] [--json FILE]
        [--only inference]

Each Python has one process, which builds everything first and then does one work whenever it is asked to.
The two take turns in the order 1 2 2 1, so that a drift of the machine meets both. A ratio is that of two
works in neighboring turns, second over first; above 1 the second is slower.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BACKBONES = ("ir18", "mobilefacenet")
SECONDS = 0.5
"""A work is repeated for as long in a turn."""
IMPORT = """
import time
start = time.perf_counter()
from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries
leave_out_keras_3()
quiet_libraries()
import urfr_tf.train
print(time.perf_counter() - start)
"""


def main() -> None:
    """Measures and prints a table; the worker's side of it with --work."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="*", help="the interpreters of the two sets")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the seconds of every round to this file")
    parser.add_argument("--only", default="", help="measure the works whose names have this in them")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work()
        return
    if len(args.pythons) != 2:
        parser.error(f"expected two interpreters, but got {len(args.pythons)}")
    seconds, names = measure(args.pythons, args.rounds, args.only)
    if args.json:
        args.json.write_text(json.dumps({"sets": names, "seconds": seconds}, indent=1), encoding="utf-8")
    print(f"| | {names[0]} | {names[1]} | ratio: median, quartiles |\n| --- | --- | --- | --- |")
    for name, (first, second) in seconds.items():
        low, ratio, high = statistics.quantiles([b / a for a, b in zip(first, second, strict=True)])
        medians = [f"{1000 * statistics.median(each):.1f} ms" for each in (first, second)]
        print(f"| {name} | {medians[0]} | {medians[1]} | {ratio:.2f} ({low:.2f} to {high:.2f}) |")


def measure(
    pythons: list[str], rounds: int, only: str = ""
) -> tuple[dict[str, tuple[list[float], list[float]]], list[str]]:
    """Gives the seconds of each work in each round for both, and how each names itself."""
    command = ["-m", "experiments.speed_of_sets", "--work"]
    workers = [
        subprocess.Popen(
            [python, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for python in pythons
    ]
    works, names = [], []
    for worker in workers:
        started = json.loads(worker.stdout.readline())
        works, names = started["works"], [*names, started["name"]]

    def ask(index: int, name: str) -> float:
        if name == "import":
            importing = [pythons[index], "-c", IMPORT]
            output = subprocess.check_output(importing, cwd=ROOT, text=True, stderr=subprocess.DEVNULL)
            return float(output.splitlines()[-1])
        print(name, file=workers[index].stdin, flush=True)
        return float(workers[index].stdout.readline())

    seconds = {name: ([], []) for name in [*works, "import"] if only in name}
    for turn in range(rounds):
        for name, both in seconds.items():
            for index in (0, 1) if turn % 2 == 0 else (1, 0):
                both[index].append(ask(index, name))
    for worker in workers:
        worker.stdin.close()
        worker.wait()
    return seconds, names


def work() -> None:
    """Builds every work, and does the one whose name comes on standard input."""
    from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

    leave_out_keras_3()
    quiet_libraries()
    from urfr_tf.bench.step_point import CLASSES, configure_cosface, make_inference_step, make_training_step
    from urfr_tf.runs.origin import collect_versions
    from urfr_tf.training.optimizers import build_schedule
    from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

    works = {}
    for backbone in BACKBONES:
        for batch in (1, 32):
            job = {"backbone": backbone, "size": 112, "batch": batch, "precision": "float32"}
            config = configure_cosface(job)
            works[f"{backbone}, inference, batch {batch}"] = make_inference_step(config)
        model, _ = build_recognition_model(config, CLASSES, synchronized=False, load=False)
        compile_model(config, model, build_schedule(config.optimizer, 1000))
        works[f"{backbone}, training step, batch 32"] = make_training_step(config, model)
    for each in works.values():
        each()
        each()
    versions = collect_versions()
    name = f"TensorFlow {versions['tensorflow']}, Python {versions['python']}"
    print(json.dumps({"works": list(works), "name": name}), flush=True)
    for line in sys.stdin:
        each = works[line.strip()]
        each()  # What the others left in the caches has gone then.
        start, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - start < SECONDS:
            each()
            count += 1
        print((time.perf_counter() - start) / count, flush=True)


if __name__ == "__main__":
    main()
