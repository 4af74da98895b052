"""`urfr turn`: the pose variation of a folder of shards, ahead of training."""

import argparse

from urfr_tf.system.folder_lock import lock_folder

HELP = "turn the faces of shards ahead of training, for data.turned"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("shards", metavar="SHARDS", help="folder made by urfr prepare")
    parser.add_argument(
        "--copies", type=int, default=1, metavar="N", help="yaws for each face; a pass meets one of them (1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other yaws (0)")


def run(args: argparse.Namespace) -> int:
    """Turns, shows how far it is, and returns 0."""
    with lock_folder(args.shards, "another urfr turn", ".turn.lock"):
        return _turn(args)


def _turn(args: argparse.Namespace) -> int:
    from urfr_tf.data.manifest import load_manifest
    from urfr_tf.data.progress import Progress
    from urfr_tf.data.stream.turned_faces import FOLDER, turn_shards
    from urfr_tf.system.quiet import quiet_compiler

    manifest = load_manifest(args.shards)
    quiet_compiler()
    progress = Progress(manifest.images * max(args.copies, 1))
    size = turn_shards(manifest, args.copies, args.seed, progress.add)
    progress.close()
    print(f"{manifest.folder / FOLDER}: {size / 2**20:.1f} MiB; use it with data.turned: true")
    return 0
