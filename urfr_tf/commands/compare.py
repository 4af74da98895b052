"""`urfr compare`: two photographs -> how alike they are, and a verdict where one is calibrated."""

import argparse
import json

HELP = "compare the faces of two photographs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--model", required=True, metavar="MODEL", help="a run folder, a SavedModel folder or a .tflite file"
    )
    parser.add_argument("a", metavar="PHOTO")
    parser.add_argument("b", metavar="PHOTO")
    parser.add_argument(
        "--align",
        choices=["mtcnn", "none"],
        help="mtcnn: find and align the face; none: the centred square (as the model was trained)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compares; raises UrfrError with a sentence."""
    from urfr_tf.embedding.compare import compare_photographs
    from urfr_tf.runs.load_model import load_model

    model = load_model(args.model)
    result = compare_photographs(model, args.a, args.b, args.align or model.alignment)
    if args.json:
        print(json.dumps(result, allow_nan=False))
        return 0
    print(f"cosine      {result['cosine']:.4f}\nlikelihood  {result['likelihood']:.2f}")
    limit = result["threshold"]
    if limit is None:
        print("no threshold calibrated: the scores order pairs, but do not say yes or no")
    else:
        word = "yes" if result["same"] else "no"
        print(f"same person: {word} ({limit['score']} threshold {limit['threshold']:.4f})")
    return 0
