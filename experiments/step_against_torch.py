"""One training step and one inference of IR-50 next to PyTorch's, in one run, as ratios.

    python experiments/step_against_torch.py [--python ENV/bin/python] [--backbone ir50] [--batch 32] [--turns
    2]

PyTorch has an environment of its own, made from `torch_requirements.txt` where none is given. For each
precision the two take turns, a process at a time, so that a drift of the machine meets both. Above 1 we are
faster.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PHASES = ("train", "inference")


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", help="of an environment with torch_requirements.txt")
    parser.add_argument("--backbone", default="ir50", choices=("ir18", "ir50", "ir100"))
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peer = args.python or environment(Path(folder))
        programs = {
            "ours": [sys.executable, "-m", "urfr_tf.bench.step_point"],
            "torch": [peer, str(HERE / "torch_step.py")],
        }
        print(json.dumps({p: compare(programs, job(args, p), args.turns) for p in args.precisions}, indent=1))


def job(args: argparse.Namespace, precision: str) -> dict:
    """What both programs are told."""
    named = {name: getattr(args, name) for name in ("backbone", "size", "batch", "rounds")}
    return {**named, "precision": precision, "inference": True}


def compare(programs: dict[str, list[str]], wanted: dict, turns: int) -> dict:
    """Images a second (min, median, max) of both by the clock, and by processor seconds; ratios of the
    medians.

    Processor seconds mean more than the clock where other work shares the cores.
    """
    kinds = {"images_per_second": "seconds", "images_per_processor_second": "processor_seconds"}
    rates_by_kind: dict[str, dict] = {
        kind: {who: {phase: [] for phase in PHASES} for who in programs} for kind in kinds
    }
    for _ in range(turns):
        for who, program in programs.items():
            done = subprocess.run([*program, json.dumps(wanted)], capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{who} failed: {done.stderr[-2000:]}")
            measured = json.loads(done.stdout.splitlines()[-1])
            for kind, key in kinds.items():
                for phase in PHASES:
                    rates_by_kind[kind][who][phase] += [
                        wanted["batch"] / seconds for seconds in measured[key][phase]
                    ]
    result: dict[str, dict] = {}
    for kind, rates in rates_by_kind.items():
        spread = {who: {phase: _spread(values) for phase, values in of.items()} for who, of in rates.items()}
        ratio = {phase: spread["ours"][phase][1] / spread["torch"][phase][1] for phase in PHASES}
        result[kind] = {**spread, "ours_over_torch": ratio}
    return result


def _spread(values: list[float]) -> list[float]:
    return [min(values), statistics.median(values), max(values)]


def environment(folder: Path) -> str:
    """Makes PyTorch's environment; its Python."""
    venv.create(folder / "torch", with_pip=True)
    python = str(folder / "torch" / "bin" / "python")
    requirements = str(HERE / "torch_requirements.txt")
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
    return python


if __name__ == "__main__":
    main()
