"""CelebA as it is published: img_align_celeba/000001.jpg and identity_CelebA.txt (`000001.jpg 2880`).

Its aligned crops are 178 x 218 with both eyes at fixed places, so that `--align none`, the largest
centered square, cuts a face out of each.
"""

import os
import re
from collections import Counter
from collections.abc import Container, Iterator

from urfr_tf.data.headers import ImageError
from urfr_tf.data.sources.item import Item
from urfr_tf.data.text_lists import open_list
from urfr_tf.errors import UrfrError

IDENTITIES, IMAGES = "identity_CelebA.txt", "img_align_celeba"
_LINE = re.compile(r"([^\s/\\]+?)(?:\s+|\s*[,;]\s*)(\d+)")


def survey(path: str) -> dict[str, int]:
    """Identity (its number) -> number of its lines.

    Raises:
        UrfrError: the list of identities is missing or holds no usable line.
    """
    people = Counter(item.identity for item in _lines(path) if item.problem is None)
    if not people:
        raise UrfrError(f"expected lines 'image number' in {os.path.join(path, IDENTITIES)}, but it has none")
    return dict(people)


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The images of the people in `keep`, in the order of the list; unusable lines have a problem."""
    return (item for item in _lines(path) if item.identity in keep or item.problem is not None)


def _lines(path: str) -> Iterator[Item]:
    listing = os.path.join(path, IDENTITIES)
    if not os.path.isfile(listing):
        raise UrfrError(f"expected CelebA with {listing}, but it is not there")
    with open_list(listing) as file:
        for number, line in enumerate(file, 1):
            # A name with a separator would lead out of the folder; the pattern has none.
            if match := _LINE.fullmatch(line.strip()):
                name, identity = match.groups()
                yield Item(identity, name, file=os.path.join(path, IMAGES, name))
            elif line.strip():
                problem = ImageError("bad line", f"line {number} of {IDENTITIES} is not 'image number'")
                yield Item("", f"{IDENTITIES}:{number}", problem=problem)
