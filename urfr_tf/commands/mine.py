"""`urfr mine`: soft labels of further variations, written into the folder of the shards."""

import argparse

from urfr_tf.errors import UrfrError

HELP = "write soft variation labels into a folder of shards: predicted by theta_A, or known from a table"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", metavar="RUN", help="run folder of an attributes training")
    source.add_argument(
        "--labels",
        metavar="FILE",
        help="known labels instead: list_attr_celeba.txt, or a TSV of image or identity and values",
    )
    parser.add_argument("--data", required=True, metavar="SHARDS", help="folder of shards")
    parser.add_argument(
        "--attributes", metavar="A,B", help="which attributes of the table; default: all of them"
    )
    parser.add_argument(
        "--scale-to",
        type=int,
        metavar="PIXELS",
        help="shrink the images to this side first, on which theta_A learned (with --model)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Writes the labels and prints how they are distributed; returns 0.

    Raises:
        UrfrError: options that contradict each other, or what `urfr_tf.training.mine` refuses.
    """
    import json

    if args.labels and args.scale_to is not None:
        raise UrfrError(
            "expected --scale-to with --model alone: known labels need no images, but got --labels"
        )
    names = args.attributes.split(",") if args.attributes else None
    if args.model:
        from urfr_tf.training.mine import mine_labels

        summary = mine_labels(args.model, args.data, names, args.scale_to)
    else:
        from urfr_tf.training.mine import write_known_labels

        summary = write_known_labels(args.labels, args.data, names)
    if args.json:
        print(json.dumps(summary))
    else:
        for name, values in summary.items():
            mean, positive = values["mean"], values["positive"]
            print(f"{name}: {values['images']} images, mean {mean:.4f}, above 0.5 {positive:.4f}")
        print(f"written to {args.data}/soft_labels; name them in data.soft_labels")
    return 0
