"""`urfr embed`: a folder or list of photographs -> embeddings and confidences in one .npz."""

import argparse
import dataclasses
import json
import os
import sys

from urfr_tf.data.detector_options import add_detector_options, read_crop_settings
from urfr_tf.runs.default_network import add_model_option
from urfr_tf.system.folder_lock import lock_folder

HELP = "embed a folder or list of photographs into an .npz file"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add_model_option(parser)
    parser.add_argument(
        "--images",
        required=True,
        metavar="DIR|LIST",
        help="a folder (all its files, told by their content), or a text file with one path a line",
    )
    parser.add_argument("--out", required=True, metavar="FILE.npz", help="file to write")
    parser.add_argument(
        "--align",
        choices=["mtcnn", "none"],
        help="mtcnn: find and align the face; none: the centered square (default: as the model was trained)",
    )
    add_detector_options(parser)
    parser.add_argument(
        "--slice",
        dest="list_slice",
        type=_parse_slice,
        default=(1, 1),
        metavar="I/N",
        help="only slice I of N of the list, for several processes",
    )
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Embeds; raises UrfrError with a sentence."""
    folder, name = os.path.split(args.out)
    with lock_folder(folder or os.curdir, "another urfr embed of this file", f".{name}.lock"):
        return _embed(args)


def _embed(args: argparse.Namespace) -> int:
    from urfr_tf.data.progress import Progress
    from urfr_tf.embedding.folder import embed_photographs
    from urfr_tf.runs.load_model import load_model

    model = load_model(args.model)
    align = args.align or model.alignment
    progress: Progress | None = None
    before = 0

    def show(total: int, done: int) -> None:
        nonlocal progress, before
        if progress is None:
            if done:
                print(f"going on at image {done + 1} of {total}", file=sys.stderr)
            progress = Progress(total, done)
        else:
            progress.add(done - before)
        before = done

    settings = read_crop_settings(args, model.aligned_size, align, "largest")
    summary = embed_photographs(
        model, args.images, args.out, settings, list_slice=args.list_slice, on_progress=show
    )
    if progress is not None:
        progress.close()
    if args.json:
        print(json.dumps({"out": args.out, "align": align, **dataclasses.asdict(summary)}))
        return 0
    print("\n".join(summary.lines(args.out, align)))
    return 0


def _parse_slice(text: str) -> tuple[int, int]:
    number, _, slices = text.partition("/")
    if not (number.isdigit() and slices.isdigit() and 1 <= int(number) <= int(slices)):
        raise argparse.ArgumentTypeError(f"expected I/N with 1 <= I <= N, but got {text}")
    return int(number), int(slices)
