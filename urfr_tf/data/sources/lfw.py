"""Labeled Faces in the Wild and what is laid out like it: .../NAME/NAME_0001.jpg, a folder or a tar archive.

The folder may be `lfw` itself or the one that holds it beside `pairs.txt`.
"""

import os
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import replace

from urfr_tf.data.images import MAX_BYTES
from urfr_tf.data.names import normal_form
from urfr_tf.data.sources.archive import files
from urfr_tf.data.sources.item import Item
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError


def survey(path: str, ignored: Ignored | None = None) -> dict[str, int]:
    """Identity -> number of its images.

    Args:
        path: the folder or the archive.
        ignored: counts hidden and system files.

    Raises:
        UrfrError: the archive is broken, or nothing is laid out like that.
    """
    ignored = Ignored() if ignored is None else ignored
    people = Counter(item.identity for item in _images(path, ignored) if item.problem is None)
    if not people:
        raise UrfrError(f"expected images NAME/NAME_0001.jpg in {path}, but found none{ignored.remark()}")
    return dict(people)


def items(path: str, keep: Container[str], ignored: Ignored | None = None) -> Iterator[Item]:
    """The images of the people in `keep`; arguments as in `survey`."""
    return (item for item in _images(path, ignored) if item.identity in keep or item.problem is not None)


def _images(path: str, ignored: Ignored | None) -> Iterator[Item]:
    inner = os.path.join(path, "lfw")
    for item in files(inner if os.path.isdir(inner) else path, MAX_BYTES, ignored):
        folder, _, name = item.key.rpartition("/")
        person = folder.rpartition("/")[2]
        if item.problem is not None:
            yield item
        # pairs.txt, people.txt and the like stand beside the people.
        elif person and not name.endswith((".txt", ".tsv")) and not any(c in person for c in "\t\r\n"):
            yield replace(item, identity=normal_form(person), key=f"{person}/{name}")
