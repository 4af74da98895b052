"""`urfr compare`: two photographs -> how alike they are, and a verdict where one is calibrated."""

import argparse
import json
from typing import TYPE_CHECKING

from urfr_tf.data.detector_options import FACES, add_detector_options, read_crop_settings
from urfr_tf.runs.default_network import add_model_option

if TYPE_CHECKING:
    from urfr_tf.embedding.compare import Comparison

HELP = "compare the faces of two photographs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_model_option(parser)
    parser.add_argument("a", metavar="PHOTO", help="photograph of a face")
    parser.add_argument("b", metavar="PHOTO", help="photograph to compare it with")
    parser.add_argument(
        "--align",
        choices=["mtcnn", "none"],
        help="mtcnn: find and align the face; none: the centered square (default: as the model was trained)",
    )
    add_detector_options(
        parser, faces=("all", *FACES), faces_default="all: the pair that is most alike counts"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compares; raises UrfrError with a sentence."""
    from urfr_tf.embedding.compare import compare_photographs
    from urfr_tf.runs.load_model import load_model

    model = load_model(args.model)
    faces = args.which_faces or "all"
    settings = read_crop_settings(args, model.aligned_size, args.align or model.alignment, faces)
    result = compare_photographs(model, args.a, args.b, settings, faces)
    print(json.dumps(result, allow_nan=False) if args.json else "\n".join(_lines(result)))
    return 0


def _lines(result: "Comparison") -> list[str]:
    lines = [f"cosine      {result['cosine']:.4f}", f"likelihood  {result['likelihood']:.2f}"]
    photographs = (
        (result["a"], result["faces_a"], result["box_a"]),
        (result["b"], result["faces_b"], result["box_b"]),
    )
    for path, found, box in photographs:
        if found is not None and box is not None:
            left, top, right, bottom = (round(side) for side in box)
            of = "the only face" if found == 1 else f"one of {found} faces,"
            lines.append(f"{path}: {of} at x {left} to {right}, y {top} to {bottom}")
    limit = result["threshold"]
    if limit is None:
        return [*lines, "no threshold is calibrated for this model: urfr evaluate --far gives it one"]
    word = "yes" if result["same"] else "no"
    rate = f", FAR {limit['far']:g} on {limit['protocol']}" if "far" in limit and "protocol" in limit else ""
    lines.append(f"same person: {word} ({limit['score']} threshold {limit['threshold']:.4f}{rate})")
    if (count := result["compared"]) > 1:
        lines.append(
            f"this is the best of {count} pairs of faces, so a false match is up to {count} times as likely"
        )
    align = limit.get("align", result["align"])
    if align != result["align"]:
        lines.append(f"warning: the threshold was calibrated with --align {align}, not {result['align']}")
    return lines
