"""`urfr prepare`: photographs or crops of any source -> shards."""

import argparse
import os
from dataclasses import replace

from urfr_tf.data.detector_options import add_detector_options, parse_count, read_crop_settings

HELP = "turn a source of face images into shards with a manifest"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--source",
        required=True,
        metavar="KIND",
        help="folder, list, insightface, bin, lfw, cfp, celeba, tfds:NAME or orl",
    )
    parser.add_argument("--path", metavar="PATH", help="the folder or file to read (orl finds its own)")
    parser.add_argument("--out", required=True, metavar="SHARDS", help="folder for the shards")
    parser.add_argument(
        "--align",
        default="none",
        choices=["none", "mtcnn", "points"],
        help="none: largest centered square (default); mtcnn: a detected face; points: those of the source",
    )
    add_detector_options(parser, faces_default="central for lfw, largest for others")
    parser.add_argument(
        "--on-missing",
        default="skip",
        choices=["skip", "centre"],
        help="what happens to a photograph without a face or points: refuse it, or take its center",
    )
    parser.add_argument("--size", type=parse_count, default=112, help="side of the crops in pixels (112)")
    parser.add_argument(
        "--identities",
        metavar="A:B",
        help="only this slice of the sorted people; --identities=-10: for the last ten",
    )
    parser.add_argument(
        "--shards",
        type=parse_count,
        metavar="N",
        help="number of shards (default: 1 to 8 or more, by the number of images)",
    )
    parser.add_argument("--lossless", action="store_true", help="write PNG instead of JPEG of quality 95")
    parser.add_argument("--min-side", type=parse_count, default=16, help="refuse smaller photographs (16)")
    parser.add_argument(
        "--runner", metavar="NAME", help="prepare with Apache Beam: DirectRunner, DataflowRunner ..."
    )
    parser.add_argument("--beam-options", default="", metavar="TEXT", help="Beam's options, as one text")


def run(args: argparse.Namespace) -> int:
    """Prepares; raises UrfrError with a sentence."""
    # A second guard behind the check of the header; OpenCV reads it when it is loaded.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(args.max_pixels))
    from urfr_tf.data.cropper import usual_face
    from urfr_tf.data.preparation.job import Job
    from urfr_tf.data.preparation.prepare import prepare
    from urfr_tf.data.sources import open_source
    from urfr_tf.errors import UrfrError

    crop = replace(
        read_crop_settings(args, args.size, args.align, usual_face(args.source)),
        on_missing=args.on_missing,
        lossless=args.lossless,
        min_side=args.min_side,
    )
    job = Job(open_source(args.source, args.path), crop, args.identities, args.shards)
    if args.runner is None:
        prepare(job, args.out)
        return 0
    try:
        from urfr_tf.data.preparation.beam import prepare_with_beam
    except ImportError as error:
        raise UrfrError(
            f"expected Apache Beam for --runner, but {error}; pip install 'urfr-tf[beam]' brings it"
        ) from error
    prepare_with_beam(job, args.out, args.runner, args.beam_options)
    return 0
