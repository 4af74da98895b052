"""`urfr import`: turns weights of another project into a run folder."""

import argparse

from urfr_tf.system.folder_lock import lock_folder

HELP = "import weights of InsightFace (MXNet), arcface_torch or AdaFace (PyTorch), or ONNX into a run folder"
SOURCES = ("insightface", "arcface_torch", "onnx")
SHOWN = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        choices=SOURCES,
        help="whose file it is; arcface_torch reads AdaFace too",
    )
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="NAME-0000.params with NAME-symbol.json next to it; .pt, .pth, .ckpt, .safetensors; or .onnx",
    )
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the run; created if missing")
    parser.add_argument(
        "--channels",
        choices=("rgb", "bgr"),
        help="the order the network was trained on (rgb; to be given for AdaFace's names: bgr for AdaFace, "
        "rgb for CVLface and face.evoLVe)",
    )


def run(args: argparse.Namespace) -> int:
    """Imports; returns 0."""
    with lock_folder(args.out, "another urfr import"):
        return _import(args)


def _import(args: argparse.Namespace) -> int:
    from pathlib import Path

    from urfr_tf.runs.import_weights import import_weights

    facts = import_weights(args.source, args.weights, Path(args.out), args.channels)
    print(
        f"{args.out}: {facts['backbone']} of width {facts['width']:g}, {facts['input_size']} px, "
        f"{facts['embedding_dim']}-D, {facts['numbers']:,} numbers; channels {facts['channels']}"
    )
    if facts["folded"]:
        print(
            f"{facts['folded']} batch norms of {args.weights} are folded into convolutions. The results are "
            "the same, but the statistics are lost: fine-tune with train.freeze_batch_norm: all"
        )
    if facts["unused"]:
        more = f" and {len(facts['unused']) - SHOWN} more" if len(facts["unused"]) > SHOWN else ""
        print(f"not used: {', '.join(facts['unused'][:SHOWN])}{more}")
    print("check the licence of these weights: it also applies to models derived from them")
    return 0
