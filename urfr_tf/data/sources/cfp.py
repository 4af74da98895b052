"""Celebrities in Frontal-Profile in its published layout, a folder or a tar archive.

Data/Images/001/frontal/01.jpg with Data/Fiducials/001/frontal/01.txt, thirty lines x,y of the one half of
the face that a profile shows: 0-8 the jaw from the ear to the chin, 9-11 the brow, 12-17 around the eye,
18-21 down the ridge of the nose to its tip, 22-24 below the nose to its wing, 25 the corner of the
mouth, 26-29 the middle of the lips. (Sengupta et al., "Frontal to profile face verification in the
wild", WACV 2016; the numbering was read off the pictures.)
"""

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.headers import ImageError
from urfr_tf.data.images import MAX_BYTES
from urfr_tf.data.sources.archive import files
from urfr_tf.data.sources.item import Item, read_item
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError

_MOST_BYTES = 16 * 1024
_MIDDLE = [18, 19, 20, 21, 22, 26, 27, 28, 29]


def survey(path: str, ignored: Ignored | None = None) -> dict[str, int]:
    """Identity (001 ... 500) -> number of its images.

    Args:
        path: the folder or the archive.
        ignored: counts hidden and system files.

    Raises:
        UrfrError: the archive is broken, or it has no Data/Images.
    """
    ignored = Ignored() if ignored is None else ignored
    people = Counter(item.identity for item in _under(path, "Images", ignored) if item.problem is None)
    if not people:
        raise UrfrError(
            f"expected Data/Images/001/frontal/01.jpg and so on in {path}, but found none{ignored.remark()}"
        )
    return dict(people)


def items(path: str, keep: Container[str], ignored: Ignored | None = None) -> Iterator[Item]:
    """The images of the people in `keep` with five points, where their fiducials can be read.

    Arguments as in `survey`.
    """
    fiducials = {}
    for text in _under(path, "Fiducials"):
        if text.problem is None and text.identity in keep:
            fiducials[_stem(text)] = _read(text)
    for item in _under(path, "Images", ignored):
        if item.problem is not None:
            yield item
        elif item.identity in keep:
            thirty = fiducials.get(_stem(item))
            if thirty is not None:
                points = five_points(thirty, profile="/profile/" in item.key)
                item = replace(item, points=tuple(points.ravel().tolist()))
            yield item


def five_points(fiducials: NDArray[np.float64], profile: bool) -> NDArray[np.float64]:
    """The five points of alignment from the thirty of half a face.

    The visible eye is the mean of its six points; nose and visible corner of the mouth are given. In a
    frontal view the others are their mirror images in the line through the middle of the face. In a
    profile they lie where the face ends: at the bridge of the nose and the middle of the lips, 0.2 and
    0.1 of the way further out (these two fit MTCNN's points best on 113 profiles of the set: median
    distance 0.10 and 0.09 of the distance from eye to mouth).

    Args:
        fiducials: float [30, 2] in pixels.
        profile: whether the view is a profile.

    Returns:
        float64 [5, 2]: eyes, nose, corners of the mouth; left first as seen in the image.
    """
    p = np.asarray(fiducials, np.float64)
    eye, nose, corner = p[12:18].mean(axis=0), p[21], p[25]
    if profile:
        other_eye = eye + 1.2 * (p[18] - eye)
        other_corner = corner + 1.1 * ((p[26] + p[28]) / 2 - corner)
        on_the_left = p[:9, 0].mean() <= p[_MIDDLE, 0].mean()
    else:
        center = p[_MIDDLE].mean(axis=0)
        along = np.linalg.svd(p[_MIDDLE] - center)[2][0]
        other_eye, other_corner = (
            center + 2 * along * np.dot(seen - center, along) - (seen - center) for seen in (eye, corner)
        )
        on_the_left = eye[0] <= other_eye[0]
    if on_the_left:
        return np.stack([eye, other_eye, nose, corner, other_corner])
    return np.stack([other_eye, eye, nose, other_corner, corner])


def _under(path: str, folder: str, ignored: Ignored | None = None) -> Iterator[Item]:
    """The files Data/`folder`/ID/VIEW/NUMBER as items of ID with the key ID/VIEW/NUMBER."""
    for item in files(path, MAX_BYTES, ignored):
        _, separator, key = f"/{item.key}".rpartition(f"/Data/{folder}/")
        if item.problem is not None:
            yield item
        elif separator and key.count("/") == 2 and not any(c in key for c in "\t\r\n"):
            yield replace(item, identity=key.split("/")[0], key=key)


def _stem(item: Item) -> str:
    return item.key.rpartition(".")[0]


def _read(item: Item) -> NDArray[np.float64] | None:
    try:
        lines = read_item(item, _MOST_BYTES).split()
        thirty = np.array([[float(cell) for cell in line.split(b",")] for line in lines], np.float64)
    except (ImageError, ValueError):
        return None
    return thirty if thirty.shape == (30, 2) and np.isfinite(thirty).all() else None
