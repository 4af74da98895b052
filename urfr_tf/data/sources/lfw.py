"""Labeled Faces in the Wild and what is laid out like it: .../NAME/NAME_0001.jpg, a folder or a tar archive.

The folder may be `lfw` itself or the one that holds it beside `pairs.txt`.
"""

import os
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import replace

from urfr_tf.data.images import MAX_BYTES
from urfr_tf.data.sources.archive import files
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError


def survey(path: str) -> dict[str, int]:
    """Identity -> number of its images.

    Raises:
        UrfrError: the archive is broken, or nothing is laid out like that.
    """
    people = Counter(item.identity for item in _images(path) if item.problem is None)
    if not people:
        raise UrfrError(f"expected images NAME/NAME_0001.jpg in {path}, but found none")
    return dict(people)


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The images of the people in `keep`."""
    return (item for item in _images(path) if item.identity in keep or item.problem is not None)


def _images(path: str) -> Iterator[Item]:
    inner = os.path.join(path, "lfw")
    for item in files(inner if os.path.isdir(inner) else path, MAX_BYTES):
        folder, _, name = item.key.rpartition("/")
        identity = folder.rpartition("/")[2]
        if item.problem is not None:
            yield item
        # pairs.txt, people.txt and the like stand beside the people.
        elif identity and not name.endswith((".txt", ".tsv")) and not any(c in identity for c in "\t\r\n"):
            yield replace(item, identity=identity, key=f"{identity}/{name}")
