"""`urfr inspect`: what is in a folder of shards."""

import argparse
from typing import Any

HELP = "summarize a folder of shards, check it, and draw a contact sheet"

_BAR = 40


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("shards", metavar="SHARDS", help="folder made by urfr prepare")
    parser.add_argument("--out", metavar="FILE.png", help="contact sheet (SHARDS/contact_sheet.png)")
    parser.add_argument("--images", type=int, default=8, metavar="N", help="images on the sheet (8)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the augmentations that are shown")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Checks, prints and draws; raises UrfrError with a sentence."""
    import json
    from pathlib import Path

    from urfr_tf.data.inspection import check_shards, sample, summary
    from urfr_tf.data.manifest import load_manifest
    from urfr_tf.errors import UrfrError
    from urfr_tf.files import write_bytes
    from urfr_tf.system.quiet import quiet_compiler
    from urfr_tf.visualize.shard_sheet import augment_sample, draw_shard_sheet

    if not 1 <= args.images <= 64:
        raise UrfrError(f"expected 1 to 64 images on the contact sheet, but --images is {args.images}")
    manifest = load_manifest(args.shards)
    check_shards(manifest)
    numbers = summary(manifest)
    some = sample(manifest, args.images)
    quiet_compiler()
    out = Path(args.out) if args.out else manifest.folder / "contact_sheet.png"
    write_bytes(out, draw_shard_sheet(some, augment_sample(some, args.seed), numbers))
    numbers["contact_sheet"] = str(out)
    if args.json:
        print(json.dumps(numbers, indent=1))
    else:
        print("\n".join(_lines(numbers)))
    return 0


def _lines(numbers: dict[str, Any]) -> list[str]:
    per_person = numbers["images_per_person"]
    source = numbers["source"] or {}
    lines = [
        f"{numbers['images']} images of {numbers['people']} people, {numbers['image_size']} x "
        f"{numbers['image_size']}, align {numbers['align']}, from {source.get('kind')} {source.get('path')}",
        f"{numbers['shards']} shards, {numbers['bytes'] / 1e6:.1f} MB, every checksum right",
        f"images of a person: {per_person['min']} to {per_person['max']}, median {per_person['median']:g}, "
        f"mean {per_person['mean']:.2f}; {per_person['people_with_one']} people have one",
    ]
    most = max(row["people"] for row in per_person["histogram"])
    for row in per_person["histogram"]:
        name = f"{row['from']}" if row["from"] == row["to"] else f"{row['from']}-{row['to']}"
        lines.append(f"{name:>12} {'#' * -(-row['people'] * _BAR // most)} {row['people']}")
    for title in ("refused", "notes"):
        if numbers[title]:
            kinds = ", ".join(f"{count} {kind}" for kind, count in numbers[title].items())
            lines.append(f"{title}: {kinds}")
    return [*lines, f"contact sheet: {numbers['contact_sheet']}"]
