"""Pickled evaluation sets (lfw.bin, cfp_fp.bin, agedb_30.bin ...): pairs of encoded crops.

The file says who equals whom within a pair and nothing across pairs, so a pair of the same person
becomes a person of two images and a pair of two people two persons of one image. The same face may so
appear as several people: shards for looking at and for calibration, not for training.
"""

from collections.abc import Container, Iterator

from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.plain_pickle import read_plain


def read_bin(path: str) -> tuple[list[bytes], list[bool]]:
    """Reads an evaluation set without unpickling it.

    Returns:
        2 N encoded images, and N answers whether images 2 i and 2 i + 1 show the same person.

    Raises:
        UrfrError: the file cannot be read, or holds anything but a list of bytes and a list of booleans.
    """
    content = read_plain(path)
    lists = (
        [value for value in content if isinstance(value, list)] if isinstance(content, tuple | list) else []
    )
    if not isinstance(content, tuple | list) or not len(content) == len(lists) == 2:
        raise UrfrError(f"expected two lists, images and answers, in {path}")
    images = [image for image in lists[0] if isinstance(image, bytes)]
    same = [answer for answer in lists[1] if isinstance(answer, bool)]
    if len(images) < len(lists[0]):
        raise UrfrError(f"expected encoded images as bytes in {path}")
    if len(same) < len(lists[1]):
        raise UrfrError(f"expected booleans as answers in {path}")
    if not same or len(images) != 2 * len(same):
        raise UrfrError(
            f"expected two images for each answer in {path}, but got {len(images)} for {len(same)}"
        )
    return images, same


def survey(path: str) -> dict[str, int]:
    """Identity -> its images: 2 for a pair of the same person, else 1; errors as in `read_bin`."""
    people: dict[str, int] = {}
    for item in _images(path):
        people[item.identity] = people.get(item.identity, 0) + 1
    return people


def items(path: str, keep: Container[str]) -> Iterator[Item]:
    """The images of the identities in `keep`, in order."""
    return (item for item in _images(path) if item.identity in keep)


def _images(path: str) -> Iterator[Item]:
    images, same = read_bin(path)
    for number, image in enumerate(images):
        pair, side = divmod(number, 2)
        identity = f"pair-{pair:06d}" if same[pair] else f"pair-{pair:06d}-{'ab'[side]}"
        yield Item(identity, f"{number:06d}", content=image)
