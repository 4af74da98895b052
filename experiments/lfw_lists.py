"""Writes the lists of LFW photographs that the measurements train and test on.

    python experiments/lfw_lists.py --lfw DATA/lfw --pairs lfw_pairs.txt --out DATA \
        [--gender lfw_gender_by_identity.tsv] [--points points.tsv]

DATA is the folder that holds `lfw/`; the lists are written into it, for `urfr prepare --source list`.
People of folds 6 to 10 of the pairs are never trained on. Of the other people every tenth that has two
images or more is the validation split; of the people with a known gender every fifth is.
"""

import argparse
import csv
from pathlib import Path


def main() -> None:
    """Reads the arguments and writes the lists."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lfw", required=True, type=Path)
    parser.add_argument("--pairs", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--gender", type=Path)
    parser.add_argument("--points", type=Path, help="path and source_x0 ... source_y4 of each photograph")
    args = parser.parse_args()
    people = {d.name: sorted(f.name for f in d.iterdir()) for d in sorted(args.lfw.iterdir()) if d.is_dir()}
    points = read_points(args.points) if args.points else {}
    tested = people_of_folds(args.pairs, range(6, 11))
    usable = [name for name in people if name not in tested]
    several = [name for name in usable if len(people[name]) > 1]
    validation = set(several[::10])
    write(args.out / "small_train.csv", [n for n in usable if n not in validation], people, points)
    write(args.out / "small_validation.csv", sorted(validation), people, points)
    if args.gender:
        rows = [line.split("\t") for line in args.gender.read_text(encoding="utf-8").splitlines() if line]
        known = [row[0] for row in rows if row[0] in people]
        unseen = set(known[::5])
        write(args.out / "gender_train.csv", [n for n in known if n not in unseen], people, points)
        write(args.out / "gender_validation.csv", sorted(unseen), people, points)


def people_of_folds(path: Path, folds: range) -> set[str]:
    """Names that occur in some folds (1-based) of LFW's view 2."""
    lines = path.read_text(encoding="utf-8").splitlines()
    folds_in_file, per_fold = (int(word) for word in lines[0].split())
    assert folds_in_file == 10
    names: set[str] = set()
    for fold in folds:
        for line in lines[1 + (fold - 1) * 2 * per_fold : 1 + fold * 2 * per_fold]:
            words = line.split("\t")
            names.update([words[0]] if len(words) == 3 else [words[0], words[2]])
    return names


def read_points(path: Path) -> dict[str, list[str]]:
    """NAME/NAME_0001.jpg -> the ten coordinates in the photograph."""
    columns = [f"source_{axis}{i}" for i in range(5) for axis in "xy"]
    with open(path, encoding="utf-8", newline="") as file:
        return {row["path"]: [row[c] for c in columns] for row in csv.DictReader(file, delimiter="\t")}


def write(path: Path, names: list[str], people: dict[str, list[str]], points: dict[str, list[str]]) -> None:
    """One list; photographs without points are left out where points are used."""
    count = 0
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["path", "identity", *([f"{a}{i}" for i in range(5) for a in "xy"] if points else [])]
        )
        for name in names:
            for image in people[name]:
                where = points.get(f"{name}/{image}")
                if where is not None or not points:
                    writer.writerow([f"lfw/{name}/{image}", name, *(where or [])])
                    count += 1
    print(f"{path}: {count} images of {len(names)} people")


if __name__ == "__main__":
    main()
