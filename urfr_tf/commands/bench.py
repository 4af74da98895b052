"""`urfr bench`: measures the project on this machine, as ratios within one run."""

import argparse

HELP = "measure speed on this machine, as ratios within one run"
BENCHMARKS = {
    "step": "training steps: URFace against CosFace; images/s, share of the machine's peak and memory of IR "
    "networks",
    "data": "the input pipeline: crop, flip and each variation against decoding alone",
    "head": "the prototypes' step against the number of identities: dense, sampled, sharded",
    "inference": "exported formats at batch 1 and 32, with ai-edge-litert and ONNX Runtime as peers",
    "gallery": "the search of one face among 1e4, 1e5 and 1e6 people against a matrix-vector product",
    "score": "all-pairs likelihood scores against the cosine matrix product",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "benchmark",
        choices=tuple(BENCHMARKS),
        help="; ".join(f"{name}: {text}" for name, text in BENCHMARKS.items()),
    )
    parser.add_argument(
        "--repeat", type=int, default=5, metavar="N", help="rounds of measurement (default: 5)"
    )
    parser.add_argument("--full", action="store_true", help="step: IR-50 and IR-100, too")
    parser.add_argument(
        "--memory",
        type=float,
        metavar="GIB",
        help="head: memory that one measurement may take (default: what is available)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="inference: threads of each runtime (default: one per core)"
    )
    parser.add_argument(
        "--postgres",
        metavar="ADDRESS",
        help="gallery: measure 1e5 people in this database, too, which has no gallery (postgresql://...)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns 0.

    Raises:
        UrfrError: fewer than one round or thread.
    """
    import importlib
    import json

    from urfr_tf.errors import UrfrError

    if args.repeat < 1:
        raise UrfrError(f"expected --repeat of at least 1, but got {args.repeat}")
    if args.threads is not None and args.threads < 1:
        raise UrfrError(f"expected --threads of at least 1, but got {args.threads}")
    result = importlib.import_module(f"urfr_tf.bench.{args.benchmark}").run(args)
    if args.json:
        print(json.dumps(result))
        return 0
    print(result["machine"])
    for name, seconds in result["seconds"].items():
        print(f"  {name:32} {seconds['median']:.4f} s  ({seconds['min']:.4f} to {seconds['max']:.4f})")
    for name, ratio in result["ratios"].items():
        print(f"  {name:32} {ratio:.3f}")
    return 0
