"""The options of every command that looks for faces, and the settings of the crops that they make.

Every such command has the same words for the same thing, so that a photograph becomes the same crop in all of
them.
"""

import argparse
from typing import TYPE_CHECKING

from urfr_tf.data.headers import MAX_PIXELS

if TYPE_CHECKING:
    from urfr_tf.data.cropper import CropSettings

FACES = ("largest", "central")
LEAST_FACE = 40
"""Smallest face that is looked for in pixels, unless said otherwise."""


def add_detector_options(
    parser: argparse.ArgumentParser,
    *,
    faces: tuple[str, ...] = FACES,
    faces_option: str = "--faces",
    faces_default: str = "largest",
) -> None:
    """Adds --faces, --min-face and --max-pixels.

    Args:
        parser: of the command.
        faces: what may be chosen of several faces.
        faces_option: another name for --faces where it has another meaning.
        faces_default: what is said about the default of --faces.
    """
    parser.add_argument(
        faces_option,
        dest="which_faces",
        choices=faces,
        help=f"which of several faces (default: {faces_default})",
    )
    parser.add_argument(
        "--min-face",
        type=parse_count,
        default=LEAST_FACE,
        metavar="PIXELS",
        help=f"smallest face looked for in pixels ({LEAST_FACE})",
    )
    parser.add_argument(
        "--max-pixels",
        type=parse_count,
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse larger photographs ({MAX_PIXELS})",
    )


def read_crop_settings(args: argparse.Namespace, size: int, align: str, faces: str) -> "CropSettings":
    """Makes the settings of a command's crops from its options.

    Args:
        args: of a parser with `add_detector_options`.
        size: side of the crops in pixels.
        align: `mtcnn`, `points` or `none`.
        faces: which of several faces where the option is not given.
    """
    from urfr_tf.data.cropper import CropSettings

    return CropSettings(
        size=size,
        align=align,
        faces=args.which_faces or faces,
        min_face=args.min_face,
        max_pixels=args.max_pixels,
    )


def parse_count(text: str) -> int:
    """Parses a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, but got {text}")
    return int(text)
