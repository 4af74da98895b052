"""Labels for mining on LFW beyond gender: `smiling` from the five points, `profile` from CFP.

    python experiments/mined_labels.py smiling --data SHARDS --out smiling.tsv
    python experiments/mined_labels.py profile --cfp CFP_SHARDS --target SHARDS --out DATA

`smiling` stands in for CelebA's label: a mouth broader than usual, for the median of the labelled images.
Width is measured against the way from the eyes' middle to the mouth's, along the mouth; it foreshortens
with yaw as the eyes' distance does, so it is taken against that. `profile` writes the crops of both sets as
files, two lists for `urfr prepare --source list --align none` (four of five people of CFP with all images of
the target, and the fifth), and a table of `profile` and `target`, the domain that is to be mined.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.data import records
from urfr_tf.data.manifest import load_manifest


def main() -> None:
    """Reads the arguments and writes the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    smiling = commands.add_parser("smiling")
    smiling.add_argument("--data", required=True, nargs="+")
    smiling.add_argument("--out", required=True, type=Path)
    profile = commands.add_parser("profile")
    profile.add_argument("--cfp", required=True)
    profile.add_argument("--target", required=True)
    profile.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    if args.what == "smiling":
        write_smiling(args.data, args.out)
    else:
        write_profile(args.cfp, args.target, args.out)


def write_smiling(folders: list[str], out: Path) -> None:
    """One line an image: 1 where the mouth is broader than the median of all."""
    sources, widths = [], []
    for folder in folders:
        for example in examples(folder):
            points = example[records.POINTS].reshape(5, 2)
            sources.append(text(example[records.SOURCE]))
            widths.append(np.linalg.norm(points[4] - points[3]) / np.linalg.norm(points[1] - points[0]))
    broad = np.array(widths) > np.median(widths)
    lines = [f"{source}\t{int(value)}\n" for source, value in zip(sources, broad, strict=True)]
    out.write_text("key\tsmiling\n" + "".join(lines), encoding="utf-8")
    print(f"{out}: {len(lines)} images, median width of the mouth {np.median(widths):.3f} eye distances")


def write_profile(cfp: str, target: str, out: Path) -> None:
    """Crops, lists and table; see the module's words."""
    lists: dict[str, list[tuple[str, str]]] = {"profile_train": [], "profile_validation": []}
    table = ["key\tprofile\ttarget\n"]
    people = sorted(load_manifest(cfp).identities)
    unseen = set(people[::5])
    for name, folder in (("cfp", cfp), ("target", target)):
        for number, example in enumerate(examples(folder)):
            identity, source = text(example[records.IDENTITY]), text(example[records.SOURCE])
            path = Path(name) / f"{number:06d}.jpg"
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(example[keys.IMAGE])
            split = "profile_validation" if name == "cfp" and identity in unseen else "profile_train"
            lists[split].append((str(path), f"{name}_{identity}"))
            table.append(f"{path}\t{int('profile' in source)}\t{int(name == 'target')}\n")
    for split, rows in lists.items():
        with open(out / f"{split}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("path", "identity"), *rows])
        print(f"{out / split}.csv: {len(rows)} images")
    (out / "profile.tsv").write_text("".join(table), encoding="utf-8")


def examples(folder: str):
    """The records of a folder of shards as dictionaries of NumPy values."""
    paths = [str(path) for path in load_manifest(folder).shard_paths]
    for record in tf.data.TFRecordDataset(paths):
        yield {key: value.numpy() for key, value in records.parse(record).items()}


def text(value: bytes) -> str:
    """Bytes of a name as `urfr prepare` read them."""
    return value.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    main()
