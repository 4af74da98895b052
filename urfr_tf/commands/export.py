"""`urfr export`: a trained run -> SavedModel or TFLite, checked against Keras."""

import argparse
import json
import sys

from urfr_tf.data.detector_options import add_detector_options
from urfr_tf.system.folder_lock import lock_folder

HELP = "write a run as a SavedModel or a TFLite file that gives the same answers"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--run", required=True, dest="run_dir", metavar="RUN", help="the run folder, or default"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder for saved_model/1/ or model.tflite, and parity.json",
    )
    parser.add_argument("--format", required=True, choices=["saved_model", "tflite"], help="what to write")
    parser.add_argument(
        "--quantize",
        default="none",
        choices=["none", "float16", "dynamic", "int8", "bfloat16"],
        help="for tflite: float16 or int8 weights (dynamic), or int8 weights and activations; "
        "for saved_model: bfloat16, for processors that compute in it (none)",
    )
    parser.add_argument(
        "--frozen",
        action="store_true",
        help="for saved_model: weights as constants; faster at batch 1, many times the memory, "
        "not to be fine-tuned",
    )
    parser.add_argument(
        "--calibration", metavar="SHARDS", help="images that int8 measures ranges on, and that are compared"
    )
    parser.add_argument(
        "--faces",
        metavar="DATA",
        help="pairs of faces (LFW's layout, shards, one folder per person; with or without pairs.txt): "
        "accuracy and TAR on them are compared with Keras, and a threshold is calibrated with the export",
    )
    add_detector_options(parser, faces_option="--which-face", faces_default="largest; with --faces")
    parser.add_argument(
        "--quantization-aware",
        type=int,
        default=0,
        metavar="STEPS",
        help="train the backbone for int8 first, on the images of --calibration, "
        "towards its float embeddings (0)",
    )
    parser.add_argument(
        "--licence",
        metavar="SPDX",
        help="license that the export names (default: that of the imported file if known, else Apache-2.0)",
    )
    parser.add_argument(
        "--version", type=int, default=1, metavar="N", help="for saved_model: number of its folder (1)"
    )
    parser.add_argument("--json", action="store_true", help="print what parity.json says of this export")


def run(args: argparse.Namespace) -> int:
    """Exports; raises UrfrError with a sentence."""
    with lock_folder(args.out, "another urfr export of this format", f".{args.format}.lock"):
        return _export(args)


def _export(args: argparse.Namespace) -> int:
    from urfr_tf.export.export_run import export_run
    from urfr_tf.export.request import ExportRequest

    request = ExportRequest(
        args.run_dir,
        args.out,
        args.format,
        quantize=args.quantize,
        calibration=args.calibration,
        faces=args.faces,
        which_face=args.which_faces or "largest",
        min_face=args.min_face,
        max_pixels=args.max_pixels,
        quantization_aware=args.quantization_aware,
        licence=args.licence,
        version=args.version,
        frozen=args.frozen,
    )
    target, report = export_run(request, lambda sentence: print(sentence, file=sys.stderr))
    if args.json:
        print(json.dumps({"path": str(target), **report}))
        return 0
    print(
        f"{target}: {report['bytes'] / 1e6:.1f} MB; against Keras on {report['images']} images "
        f"({report['images_from']}): worst cosine of a sub-embedding {report['worst_cosine']:.6f} (limit "
        f"{report['limits']['cosine']}), worst relative error of a confidence "
        f"{report['worst_confidence_error']:.1e} (limit {report['limits']['confidence']})"
    )
    if "faces" in report:
        before, after = report["faces"]["keras"], report["faces"]["export"]
        print(
            f"on the pairs of {args.faces}: accuracy {after['accuracy']:.4f} "
            f"(Keras {before['accuracy']:.4f}), TAR at FAR {after['far']:g} {after['tar@far']:.4f} "
            f"(Keras {before['tar@far']:.4f}), threshold {after['calibration']['threshold']:.4f} "
            f"(Keras {before['calibration']['threshold']:.4f})"
        )
    return 0
