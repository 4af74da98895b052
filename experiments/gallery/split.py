"""Who of LFW is enrolled, who is searched for, and who is a stranger."""

import tarfile
from pathlib import Path
from typing import NamedTuple

THREE = 3


class Split(NamedTuple):
    """Photographs by what they are for; all sorted by name.

    Attributes:
        one: the enrolled photograph of everybody who has two or more.
        three: three photographs of those who have four or more, and one of the others of `one`.
        probes: all other photographs of the people of `one`.
        later: the fourth photographs and later ones, which are probes for `one` and `three` alike.
        unknown: the photograph of everybody who has one.
    """

    one: list[str]
    three: list[str]
    probes: list[str]
    later: list[str]
    unknown: list[str]


def unpack(lfw: Path, work: Path) -> Path:
    """The folder with a folder for each person; an archive is unpacked into the work folder."""
    if lfw.is_dir():
        return lfw / "lfw" if (lfw / "lfw").is_dir() else lfw
    folder = work / "photographs"
    if not (folder / "lfw").is_dir():
        part = folder.with_suffix(".part")
        with tarfile.open(lfw) as archive:
            archive.extractall(part, filter="data")
        part.rename(folder)
    return folder / "lfw"


def make_split(lfw: Path, people: int | None = None) -> Split:
    """Splits the photographs of a folder of people; only the first `people` of them where it is given."""
    split = Split([], [], [], [], [])
    for folder in sorted(path for path in lfw.iterdir() if path.is_dir())[:people]:
        photographs = [str(path.resolve()) for path in sorted(folder.glob("*.jpg"))]
        if len(photographs) < 2:
            split.unknown.extend(photographs)
            continue
        enrolled = THREE if len(photographs) > THREE else 1
        split.one.append(photographs[0])
        split.three.extend(photographs[:enrolled])
        split.probes.extend(photographs[1:])
        split.later.extend(photographs[THREE:] if enrolled == THREE else [])
    return split


def link_photographs(split: Split, folder: Path) -> None:
    """Makes the folders that `urfr gallery` reads: SET/NAME/NAME_0001.jpg, as links."""
    for name in ("one", "three", "unknown"):
        for path in map(Path, getattr(split, name)):
            link = folder / name / path.parent.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(path)
