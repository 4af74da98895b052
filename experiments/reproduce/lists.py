"""Who is trained on and who is tested, from LFW, its pairs, the genders, and CFP.

    python -m experiments.reproduce.lists --lfw lfw.tar --pairs lfw_pairs.txt --gender GENDER.tsv --cfp
    cfp.tar --out DATA

People of folds 6 to 10 of LFW's pairs are tested; nobody of them is in any other list, also not in those that
theta_A learns from. Every tenth of the others who has two images is the validation split. CFP's fold 01
(people that no other fold has) teaches theta_A what a profile is, and the other folds are the test.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from experiments.command import with_sentences
from experiments.lfw_lists import people_of_folds
from urfr_tf.data.images import MAX_BYTES
from urfr_tf.data.sources.archive import files
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.errors import UrfrError
from urfr_tf.files import write_bytes, write_text

TESTED, MINED_CFP_FOLD = range(6, 11), "01"
_MOST_BYTES = max(MAX_BYTES, 1 << 24)


@with_sentences("lists")
def main() -> None:
    """Reads the arguments and writes the lists and CFP's two trees."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("lfw", "pairs", "gender", "cfp", "out"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument(
        "--people", type=int, help="a miniature: so many people in training, few pairs in tests"
    )
    args = parser.parse_args()
    photographs = args.out / "photographs"
    lay_out(args.lfw, photographs)
    write_lists(photographs, args.pairs, args.gender, args.out, args.people)
    split_cfp(args.cfp, args.out, None if args.people is None else max(2, args.people // 4))


def lay_out(lfw: Path, out: Path) -> None:
    """`out/NAME/NAME_0001.jpg` for all of LFW: links to the folders of a folder, or the files of an archive.

    Raises:
        UrfrError: no people there.
    """
    inner = lfw / "lfw" if (lfw / "lfw").is_dir() else lfw
    out.mkdir(parents=True, exist_ok=True)
    if inner.is_dir():
        for folder in sorted(path for path in inner.iterdir() if path.is_dir()):
            if not (out / folder.name).exists():
                os.symlink(folder.resolve(), out / folder.name)
    else:
        for item, parts in _content(inner):
            if len(parts) >= 2 and parts[-1].startswith(parts[-2]):
                write_bytes(out / parts[-2] / parts[-1], read_item(item, _MOST_BYTES))
    if not any(path.is_dir() for path in out.iterdir()):
        raise UrfrError(f"expected LFW's NAME/NAME_0001.jpg in {lfw}, but there is none")


def write_lists(photographs: Path, pairs: Path, gender: Path, out: Path, people: int | None) -> None:
    """train, validation, gender_train, gender_validation and test as CSV; the tested pairs as test_pairs.txt.

    The lists lie among the photographs, so that an image is called NAME/NAME_0001.jpg everywhere. A
    miniature takes the first `people` of each list that have two images, and few pairs of each fold.
    """
    images = {
        d.name: sorted(f.name for f in d.iterdir()) for d in sorted(photographs.iterdir()) if d.is_dir()
    }
    tested = people_of_folds(pairs, TESTED)
    usable = [name for name in images if name not in tested]
    several = [name for name in usable if len(images[name]) > 1]
    known = [line.split("\t")[0] for line in gender.read_text(encoding="utf-8").splitlines() if line]
    known = [name for name in known if name in images and name not in tested]
    text = _pairs_of_folds(pairs, TESTED, None if people is None else max(2, people // 4))
    if people is not None:
        some = several[: people + people // 3]
        usable = several = some
        known = [name for name in known if len(images[name]) > 1][:people]
        # A name, and in a pair of two people the third word is one too, never a number.
        tested = {word for line in text.splitlines()[1:] for word in line.split("\t")[::2] if word in images}
    validation = set(several[::10] if people is None else several[::4])
    unseen = set(known[::5])
    lists = {
        "train": [name for name in usable if name not in validation],
        "validation": sorted(validation),
        "gender_train": [name for name in known if name not in unseen],
        "gender_validation": sorted(unseen),
        "test": sorted(tested),
    }
    for name, names in lists.items():
        rows = {person: [f"{person}/{image}" for image in images[person]] for person in names}
        write_rows(photographs / f"{name}.csv", rows)
    write_text(out / "test_pairs.txt", text)


def write_rows(path: Path, people: dict[str, list[str]]) -> None:
    """A list for `urfr prepare --source list`."""
    lines = [f"{image},{name}\n" for name, images in people.items() for image in images]
    write_text(path, "path,identity\n" + "".join(lines))
    print(f"{path}: {len(lines)} images of {len(people)} people")


def _pairs_of_folds(path: Path, folds: range, per_block: int | None) -> str:
    """LFW's list cut to some folds (1-based), and to the first pairs of each block of a fold."""
    lines = path.read_text(encoding="utf-8").splitlines()
    total, block = (int(word) for word in lines[0].split())
    if total < max(folds):
        raise UrfrError(f"expected {max(folds)} folds in {path}, but its heading says {total}")
    kept_lists = min(block, per_block or block)
    starts = [1 + (2 * (fold - 1) + half) * block for fold in folds for half in (0, 1)]
    chosen = [line for start in starts for line in lines[start : start + kept_lists]]
    return f"{len(folds)}\t{kept_lists}\n" + "".join(f"{line}\n" for line in chosen)


def split_cfp(cfp: Path, out: Path, per_list: int | None) -> None:
    """CFP's published tree as two: `cfp_mined` of the people of fold 01, `tests/cfp` of all the others.

    Raises:
        UrfrError: no fold 01 in it.
    """
    lists, content = {}, []
    for item, parts in _content(cfp):
        if "Protocol" in parts:
            lists["/".join(parts[parts.index("Protocol") :])] = read_item(item, _MOST_BYTES).decode()
        elif "Data" in parts:
            content.append((item, parts[parts.index("Data") :]))
    folds = {key: text for key, text in lists.items() if key.startswith("Protocol/Split/")}
    mined = people_of_cfp(lists, MINED_CFP_FOLD)
    if not mined:
        raise UrfrError(f"expected Protocol/Split/FF/{MINED_CFP_FOLD}/same.txt in {cfp}, but there is none")
    kept_lists = {}
    for key, text in folds.items():
        if key.split("/")[3] != MINED_CFP_FOLD:
            kept_lists[key] = "\n".join(text.split()[:per_list]) + "\n"
    kept_lists |= {key: text for key, text in lists.items() if key.startswith("Protocol/Pair_list")}
    for tree in (out / "cfp_mined", out / "tests" / "cfp"):
        shutil.rmtree(tree, ignore_errors=True)
    for key, text in kept_lists.items():
        write_text(out / "tests" / "cfp" / key, text)
    for item, parts in content:
        tree = out / "cfp_mined" if parts[2] in mined else out / "tests" / "cfp"
        write_bytes(tree.joinpath(*parts), read_item(item, _MOST_BYTES))
    print(f"CFP: fold {MINED_CFP_FOLD}, {len(mined)} people, for theta_A; the other folds are the test")


def people_of_cfp(lists: dict[str, str], fold: str) -> set[str]:
    """The people (001 ...) of a fold of FF and FP, from the files under Protocol/."""
    number: dict[tuple[str, str], str] = {}
    for kind in "FP":
        for line in lists[f"Protocol/Pair_list_{kind}.txt"].splitlines():
            words = line.split()
            if len(words) == 2:
                number[kind, words[0]] = words[1].split("/Images/")[1].split("/")[0]
    people = set()
    for key, text in lists.items():
        parts = key.split("/")
        if parts[1] == "Split" and parts[3] == fold:
            for line in text.split():
                first, second = line.split(",")
                people |= {number["F", first], number[parts[2][1], second]}
    return people


def _content(path: Path) -> Iterator[tuple[Item, list[str]]]:
    """The readable files of a folder or archive, with the components of their names, in a fixed order."""
    usable = [item for item in files(str(path), _MOST_BYTES) if item.problem is None]
    for item in sorted(usable, key=lambda item: item.key):
        yield item, item.key.split("/")


if __name__ == "__main__":
    sys.exit(main())
