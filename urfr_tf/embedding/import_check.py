"""Photographs of a few people -> whether an imported network tells them apart, and with which pixels best.

A network that gets another order of channels or another range of pixels than it was trained on still gives
embeddings, but poor ones. So the other settings are tried on the same photographs, without importing again:
a linear function of the pixels before our network makes it compute what the other import would compute.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.sources import folder as person_folders
from urfr_tf.embedding.photographs import Photograph, crop_photographs
from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.pixels import PIXELS, Pixels
from urfr_tf.models.pixels import ZERO_PIXELS
from urfr_tf.runs.embedder import Embedder, Outputs
from urfr_tf.runs.import_weights import ImportFacts

PEOPLE, PHOTOGRAPHS, FEWEST_PEOPLE = 20, 4, 5
"""How many people, photographs of each with a face, and people with two of them at least."""
GOOD_AUC, POOR_AUC = 0.9, 0.8
"""Below the one an import is garbage if another setting does clearly better, below the other if none does."""
_LOOKED_AT = 2 * PHOTOGRAPHS  # photographs of a person, as some have no face that is found
_ERRORS = 3.0
_SHARE = 0.1
_COLORED = 4.0  # levels of 255 between red and blue; JPEG makes one or two of gray
_GRAY = "these photographs are gray and cannot tell the order of channels"
_BATCH = 40
Floats = NDArray[np.float64]
Crops = NDArray[np.float32]


class Separation(TypedDict):
    """How well one setting separates pairs of one person from pairs of two."""

    channels: str
    pixels: str
    d_prime: float
    """Difference of the mean cosines in units of the root of the mean variance."""
    auc: float
    """Probability that a pair of one person has the higher cosine."""


class CheckFacts(TypedDict):
    """What run.json keeps under `imported.check`."""

    folder: str
    people: int
    photographs: int
    as_imported: Separation
    others: list[Separation]
    better: Separation | None
    """The best of the others, if it does clearly better."""
    colored: bool
    """Whether the photographs have colors; gray ones cannot tell the order of channels."""
    passed: bool
    verdict: str


@dataclass(frozen=True)
class People:
    """The photographs to check with.

    Attributes:
        folder: where they are.
        paths: the files.
        names: whose each of them is.
    """

    folder: str
    paths: list[str]
    names: list[str]


def choose_people(folder: str) -> People:
    """Chooses at most 20 people with at least two files each, evenly spread over the sorted names.

    Args:
        folder: a folder for each person in it.

    Raises:
        UrfrError: the folder cannot be read, or too few people have two files.
    """
    counts = person_folders.survey(folder)
    several = sorted(name for name, count in counts.items() if count > 1)
    if len(several) < FEWEST_PEOPLE:
        raise UrfrError(
            f"expected at least {FEWEST_PEOPLE} people with 2 photographs or more in {folder}, a folder for "
            f"each, but {len(several)} of the {len(counts)} folders hold that many files"
        )
    steps = np.linspace(0, len(several) - 1, min(PEOPLE, len(several))).round().astype(int)
    chosen = {several[step] for step in steps}
    items = (item for item in person_folders.items(folder, chosen) if item.identity in chosen and item.file)
    ordered = sorted(items, key=lambda item: (item.identity, item.key))
    people = People(folder, [], [])
    for name, own in itertools.groupby(ordered, key=lambda item: item.identity):
        for item in itertools.islice(own, _LOOKED_AT):
            people.paths.append(str(item.file))
            people.names.append(name)
    return people


def crop_people(people: People, size: int) -> tuple[Crops, list[str]]:
    """Finds and aligns the faces, at most 4 of each person.

    Args:
        people: the photographs.
        size: side of the crops in pixels.

    Returns:
        Crops [N, size, size, 3], RGB, 0..255, and whose they are.

    Raises:
        UrfrError: the detector is not installed, or too few people have two photographs with a face.
    """
    crops: list[NDArray[np.uint8]] = []
    names: list[str] = []
    reason = ""
    settings = CropSettings(size=size, align="mtcnn")
    photographs: Iterator[Photograph] = crop_photographs(people.paths, settings)
    for photograph, name in zip(photographs, people.names, strict=True):
        reason = photograph.refused or reason
        if photograph.crop is not None and names.count(name) < PHOTOGRAPHS:
            crops.append(photograph.crop)
            names.append(name)
    enough = sum(names.count(name) > 1 for name in set(names))
    if enough < FEWEST_PEOPLE:
        why = f"; the last that was refused: {reason}" if reason else ""
        raise UrfrError(
            f"expected at least {FEWEST_PEOPLE} people in {people.folder} with 2 photographs on which a face "
            f"is found, but there are {enough} among the {len(people.paths)} files looked at{why}"
        )
    return np.stack(crops).astype(np.float32), names


def check_import(model: Embedder, facts: ImportFacts, people: People) -> CheckFacts:
    """Embeds photographs of a few people as imported and with the other settings, and says what is right.

    Args:
        model: the imported network.
        facts: of its import.
        people: the photographs.

    Raises:
        UrfrError: see `crop_people`.
    """
    crops, names = crop_people(people, model.aligned_size)
    ours = facts["channels"], Pixels(ZERO_PIXELS[facts["zero_pixel"]], tuple(facts["pixel_scale"]))
    mine, mine_by_person = _separate(model.compute, crops, names, *ours)
    colored = is_colored(crops)
    others, better = [], []
    for channels, pixels in _other_settings(*ours, colored, facts["pixels_from"] == "file"):
        images = disguise(crops, ours, (channels, pixels))
        other, by_person = _separate(model.compute, images, names, channels, pixels)
        others.append(other)
        if is_clearly_better(other, by_person, mine, mine_by_person):
            better.append(other)
    best = max(better, key=lambda one: one["d_prime"], default=None)
    highest = max(one["auc"] for one in (mine, *others))
    passed = mine["auc"] >= GOOD_AUC or (best is None and highest >= POOR_AUC)
    return {
        "folder": people.folder,
        "people": len(set(names)),
        "photographs": len(names),
        "as_imported": mine,
        "others": others,
        "better": best,
        "colored": colored,
        "passed": passed,
        "verdict": _spell_verdict(mine, best, passed) + ("" if colored else f"; {_GRAY}"),
    }


def disguise(crops: Crops, ours: tuple[str, Pixels], theirs: tuple[str, Pixels]) -> Crops:
    """Changes pixels so that a network imported with one setting computes what the other import would.

    Both imports give the network in the file (x - zero) * scale in its order of channels. What makes the one
    see (x' - zero) * scale = (x - zero') * scale' is x' = zero + (x - zero') * scale' / scale. That holds for
    the border too, which both pad with 0.

    Args:
        crops: [N, S, S, 3], RGB, 0..255.
        ours: channels and pixels of the import.
        theirs: those of the other.

    Returns:
        [N, S, S, 3], of any range.
    """
    (channels, pixels), (other_channels, other) = ours, theirs
    seen = (crops - np.asarray(other.zero)) * np.asarray(other.scale)
    if channels != other_channels:
        seen = seen[..., ::-1]
    return np.asarray(np.asarray(pixels.zero) + seen / np.asarray(pixels.scale), np.float32)


def is_colored(crops: Crops) -> bool:
    """Tells whether at least half of some crops [N, S, S, 3] have red and blue that differ."""
    differences = np.abs(crops[..., 0] - crops[..., 2]).mean((1, 2))
    return bool(np.median(differences) > _COLORED)


def is_clearly_better(other: Separation, other_parts: Floats, mine: Separation, mine_parts: Floats) -> bool:
    """Tells whether one setting separates better than another beyond what the choice of people explains.

    Args:
        other: the one.
        other_parts: its d' without each person [P].
        mine: the other.
        mine_parts: its d' without each person [P].

    Returns:
        Whether its d' is higher by a tenth and by three standard errors of the difference (jackknife over
        people), with an AUC that is no lower.
    """
    gain, parts = other["d_prime"] - mine["d_prime"], other_parts - mine_parts
    error = float(np.sqrt((len(parts) - 1) * np.mean((parts - parts.mean()) ** 2)))
    enough = max(_ERRORS * error, _SHARE * abs(mine["d_prime"]))
    return gain > enough and other["auc"] >= mine["auc"]


def separate(cosines: Floats, people: NDArray[np.intp]) -> tuple[float, float]:
    """Measures how well cosines [N, N] separate pairs of one person from pairs of two.

    Args:
        cosines: of every pair.
        people: whose each row is [N]; at least one pair of one person and one of two.

    Returns:
        d' and AUC, of which ties count a half.
    """
    row, column = np.triu_indices(len(people), 1)
    scores, same = cosines[row, column], people[row] == people[column]
    genuine, impostor = scores[same], scores[~same]
    gap = float(genuine.mean() - impostor.mean())
    spread = float(np.sqrt((genuine.var() + impostor.var()) / 2))
    order = np.sort(impostor)
    wins = np.searchsorted(order, genuine, "left") + np.searchsorted(order, genuine, "right")
    d_prime = gap / spread if spread > 1e-9 else 0.0
    return d_prime, float(wins.mean() / (2 * len(impostor)))


def describe_separation(one: Separation) -> str:
    """Gives d' and AUC in words."""
    return f"d' {one['d_prime']:.2f}, AUC {one['auc']:.4f}"


def _other_settings(
    channels: str, pixels: Pixels, colored: bool, fixed: bool
) -> Iterator[tuple[str, Pixels]]:
    """The settings besides the one of the import; a range of pixels that the file holds is no choice."""
    ranges = [] if fixed else [other for other in PIXELS.values() if not other.is_like(pixels)]
    yield from ((channels, other) for other in ranges)
    if colored:
        swapped = "rgb" if channels == "bgr" else "bgr"
        yield from ((swapped, other) for other in (pixels, *ranges))


def _separate(
    compute: Callable[[Crops], Outputs], images: Crops, names: list[str], channels: str, pixels: Pixels
) -> tuple[Separation, Floats]:
    """Measures one setting: all photographs, and d' without each person [P]."""
    starts = range(0, len(images), _BATCH)
    parts = [compute(np.ascontiguousarray(images[at : at + _BATCH]))[keys.EMBEDDING] for at in starts]
    # A network that overflows tells nobody apart.
    embeddings = np.nan_to_num(np.concatenate(parts).astype(np.float64), posinf=0.0, neginf=0.0)
    cosines = embeddings @ embeddings.T
    unique, people = np.unique(names, return_inverse=True)
    d_prime, auc = separate(cosines, people)
    by_person = []
    for person in range(len(unique)):
        kept = people != person
        by_person.append(separate(cosines[np.ix_(kept, kept)], people[kept])[0])
    return (
        {"channels": channels, "pixels": str(pixels), "d_prime": d_prime, "auc": auc},
        np.array(by_person),
    )


def _spell_verdict(mine: Separation, better: Separation | None, passed: bool) -> str:
    here = f"channels {mine['channels']} and pixels {mine['pixels']} ({describe_separation(mine)})"
    if better is not None:
        options = f"--channels {better['channels']}"
        if better["pixels"] in PIXELS and better["pixels"] != mine["pixels"]:
            options += f" --pixels {better['pixels']}"
        word = "tells these people apart, but" if passed else "is garbage;"
        return (
            f"the import with {here} {word} {options} does clearly better "
            f"({describe_separation(better)}): import again with that, into another --out"
        )
    if not passed:
        return (
            f"the import with {here} does not tell these people apart, nor does any other setting: this may "
            "be no network of faces, or one for crops of another kind"
        )
    if mine["auc"] < GOOD_AUC:
        return f"the import with {here} tells these people apart poorly; no other setting does clearly better"
    return f"the import with {here} tells these people apart; no other setting does clearly better"
