"""`urfr-client`: photographs in, aligned here; embeddings and comparisons by a server, out."""

import argparse
import json
import sys

from urfr_tf.data.detector_options import FACES, add_detector_options, read_crop_settings
from urfr_tf.errors import UrfrError
from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries
from urfr_tf.system.terminal import accept_any_name


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="urfr-client", description="Embed and compare photographs with a TensorFlow Serving server."
    )
    parser.add_argument("--server", required=True, metavar="HOST:PORT", help="address of the server")
    parser.add_argument(
        "--card", required=True, metavar="urfr.json", help="assets/urfr.json of the export that is served"
    )
    parser.add_argument("--rest", action="store_true", help="the port is that of REST, not gRPC")
    parser.add_argument(
        "--deadline", type=float, default=10.0, metavar="S", help="seconds for a request (10)"
    )
    parser.add_argument("--tls", action="store_true", help="use TLS")
    parser.add_argument("--authority", metavar="PEM", help="certificate that signs the server's, for --tls")
    parser.add_argument(
        "--align",
        choices=["mtcnn", "none"],
        help="mtcnn: find and align the face; none: take the centered square",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    embed = commands.add_parser("embed", help="a folder or list of photographs into an .npz file")
    embed.add_argument(
        "--images",
        required=True,
        metavar="DIR|LIST",
        help="a folder of photographs, or a text file with one path a line",
    )
    embed.add_argument("--out", required=True, metavar="FILE.npz", help="file to write")
    add_detector_options(embed)
    compare = commands.add_parser("compare", help="the faces of two photographs; prints one JSON object")
    compare.add_argument("a", metavar="A.jpg", help="photograph of a face")
    compare.add_argument("b", metavar="B.jpg", help="photograph to compare it with")
    add_detector_options(compare, faces=("all", *FACES), faces_default="all: the best pair counts")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; 0 done, 1 failed with a sentence, 2 wrong usage."""
    accept_any_name()
    args = build_parser().parse_args(argv)
    if argv is None:
        leave_out_keras_3()
    quiet_libraries()
    try:
        return _run(args)
    except UrfrError as error:
        print(f"urfr-client {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"urfr-client {args.command}: interrupted; the same command continues", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    from urfr_tf.embedding.compare import compare_photographs
    from urfr_tf.embedding.folder import embed_photographs
    from urfr_tf.export.client import Client, Server, read_served_card

    server = Server(args.server, args.rest, args.deadline, args.tls, args.authority)
    model = Client(server).make_embedder(read_served_card(args.card))
    align = args.align or model.alignment
    if args.command == "compare":
        faces = args.which_faces or "all"
        settings = read_crop_settings(args, model.aligned_size, align, faces)
        result = compare_photographs(model, args.a, args.b, settings, faces)
        print(json.dumps(result, allow_nan=False))
        if result["threshold"] is None:
            print(
                f"urfr-client compare: no threshold calibrated for the export of {args.card}", file=sys.stderr
            )
        return 0
    settings = read_crop_settings(args, model.aligned_size, align, "largest")
    summary = embed_photographs(model, args.images, args.out, settings)
    print("\n".join(summary.lines(args.out, align)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
