"""Where photographs come from: one module a source, each with the same two functions.

    survey(path, ...) -> dict[str, int]      identity -> files that may be images of it
    items(path, ..., keep) -> Iterator[Item]  those of the identities in `keep`, streamed

Those of `WALKED` find their files in folders or archives and also take `ignored`, which counts what does not
belong there.

`items` also gives what cannot be taken (an entry outside of the folder, a broken record) as items
with a `problem`, so that it is counted and listed. `open_source` finds the module by name.
"""

import importlib
import os
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from functools import partial

from urfr_tf.data.names import natural_key
from urfr_tf.data.sources.item import Item
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError

SOURCES = {
    "folder": "folder",
    "list": "csv_list",
    "insightface": "insightface",
    "bin": "bin_pairs",
    "lfw": "lfw",
    "cfp": "cfp",
    "celeba": "celeba",
    "tfds": "tfds",
    "orl": "orl",
}
WALKED = ("folder", "lfw", "cfp", "orl")


@dataclass(frozen=True)
class Source:
    """A source at a place: its kind, its absolute path, and its two functions with the path filled in.

    `survey` counts in `ignored` what it passed over because it does not belong to a tree of photographs.
    """

    kind: str
    path: str
    survey: Callable[[], dict[str, int]]
    items: Callable[[Container[str]], Iterator[Item]]
    ignored: Ignored = field(default_factory=Ignored)


def open_source(kind: str, path: str | None) -> Source:
    """Finds a source; nothing is read yet.

    Args:
        kind: a name of `SOURCES`; tfds is followed by a colon and the data set's name.
        path: file or folder; None where the source knows its place (orl).

    Raises:
        UrfrError: unknown kind, no path where one is needed, or nothing at the path.
    """
    family, colon, name = kind.partition(":")
    if family not in SOURCES or bool(name) != (family == "tfds") or (colon and not name):
        known = ", ".join(SOURCES).replace("tfds", "tfds:NAME")
        raise UrfrError(f"expected a source among {known}, but got {kind!r}")
    module = importlib.import_module(f"urfr_tf.data.sources.{SOURCES[family]}")
    if path is None and hasattr(module, "find"):
        path = module.find()
    if path is None:
        raise UrfrError(f"expected --path with --source {kind}: the file or folder to read")
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise UrfrError(f"expected the photographs at {path}, but there is nothing")
    options = {"name": name} if name else {}
    # Partial functions of a module, not closures: Beam sends sources to other machines.
    ignored = Ignored()
    counts = {"ignored": ignored} if family in WALKED else {}
    survey = partial(module.survey, path, **options, **counts)
    return Source(kind, path, survey, partial(module.items, path, **options), ignored)


def choose_identities(names: list[str], text: str | None) -> list[str]:
    """Sorts identities naturally and takes the Python-like slice A:B (either may be left out or negative).

    Raises:
        UrfrError: the slice does not parse or leaves nobody.
    """
    names = sorted(names, key=natural_key)
    if text is None:
        return names
    begin, colon, end = text.partition(":")
    try:
        chosen = names[slice(int(begin) if begin else None, int(end) if end else None)] if colon else []
    except ValueError:
        colon, chosen = "", []
    if not colon:
        raise UrfrError(f"expected --identities as A:B, a slice over the sorted people, but got {text!r}")
    if not chosen:
        raise UrfrError(f"--identities {text} leaves nobody of the {len(names)} people")
    return chosen
