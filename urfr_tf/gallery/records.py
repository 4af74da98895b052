"""What a gallery holds, as plain values, and the sentences that both kinds of store have in common."""

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from urfr_tf.data.names import normal_form
from urfr_tf.errors import UrfrError
from urfr_tf.runs.embedder import Embedder

SCHEMA = 1
"""Version of the tables; a store with a larger one is refused."""
FORMAT = "urfr-gallery"
Halves = NDArray[np.float16]
Float32s = NDArray[np.float32]
_LONGEST_NAME = 200


class StoredImage(NamedTuple):
    """An image of a person as it is stored.

    Attributes:
        sha256: of the file, 32 bytes.
        label: where the image came from, for people to read.
        align: how the photograph became a crop.
        embedding: float16 [D], as the model gives it: unit norm as a whole.
        confidence: float32 [K], above 0.
        thumbnail: the crop as a JPEG file; empty unless it was asked for.
    """

    sha256: bytes
    label: str
    align: str
    embedding: Halves
    confidence: Float32s
    thumbnail: bytes = b""


class Person(NamedTuple):
    """A person and how many images there are of them."""

    name: str
    images: int


class Size(NamedTuple):
    """How large a gallery is, and a number that every change raises."""

    people: int
    images: int
    state: int


class Facts(TypedDict):
    """What a gallery says about itself."""

    format: str
    id: str
    """A name that no other gallery has."""
    model: str
    """Path of the model, or `default`."""
    kind: str
    fingerprint: str
    """Of the files of the model, as calibrated thresholds have it (`urfr_tf.runs.thresholds`)."""
    groups: int
    """K."""
    dim: int
    """D."""


def new_id() -> str:
    """A name that no other gallery has."""
    return uuid.uuid4().hex


def describe_model(model: Embedder, path: str) -> Facts:
    """Makes the facts of a new gallery.

    Args:
        model: whose embeddings it will hold.
        path: by which the model is found again.
    """
    return {
        "format": FORMAT,
        "id": new_id(),
        "model": path,
        "kind": model.kind,
        "fingerprint": model.fingerprint,
        "groups": model.groups,
        "dim": model.dim,
    }


def read_facts(text: str, where: str) -> Facts:
    """Parses the facts of a gallery.

    Raises:
        UrfrError: they are not those of a gallery.
    """
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise UrfrError(f"the gallery {where} is damaged: its facts are no JSON ({error})") from error
    wanted = Facts.__annotations__
    whole = isinstance(facts, dict) and all(isinstance(facts.get(key), kind) for key, kind in wanted.items())
    if not whole or facts["format"] != FORMAT or not 1 <= facts["groups"] <= facts["dim"] <= 65535:
        raise UrfrError(f"the gallery {where} is damaged: its facts are {text[:100]!r}")
    if facts["dim"] % facts["groups"]:
        raise UrfrError(f"the gallery {where} is damaged: {facts['groups']} groups of {facts['dim']} numbers")
    return cast(Facts, facts)


def read_alignments(text: str, where: str) -> list[str]:
    """Parses the list of ways in which the photographs of a gallery became crops.

    Raises:
        UrfrError: it is no list of strings.
    """
    try:
        aligns = json.loads(text)
    except ValueError:
        aligns = None
    if not isinstance(aligns, list) or not all(isinstance(align, str) for align in aligns):
        raise UrfrError(f"the gallery {where} is damaged: its alignments are {text[:100]!r}")
    return aligns


def check_model(facts: Facts, model: Embedder, where: str) -> None:
    """Raises UrfrError unless the gallery was made with exactly these files of a model."""
    if model.fingerprint != facts["fingerprint"]:
        raise UrfrError(
            f"the gallery {where} was made with the model {facts['model']} ({facts['kind']}, fingerprint "
            f"{facts['fingerprint'][:12]}), but {model.path} is another model or another export of it "
            f"({model.kind}, fingerprint {model.fingerprint[:12]}): their scores cannot be compared; use the "
            "model of the gallery, or make a new gallery from the photographs"
        )


def check_name(name: str) -> str:
    """Gives the normal form of a person's name.

    Raises:
        UrfrError: it is empty, longer than 200 characters, or holds what cannot be printed.
    """
    name = normal_form(name)
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UrfrError(
            f"expected a name of 1 to {_LONGEST_NAME} printable characters for a person, but got {name!r}"
        )
    return name


def check_images(images: Iterable[StoredImage], facts: Facts) -> list[StoredImage]:
    """Checks images against the gallery, and drops those whose file occurs twice.

    Raises:
        UrfrError: another shape than the gallery's, a number that is not finite, or a confidence that is
            not above 0.
    """
    unique = {image.sha256: image for image in images}
    for image in unique.values():
        shapes = image.embedding.shape, image.confidence.shape
        if shapes != ((facts["dim"],), (facts["groups"],)) or len(image.sha256) != 32:
            raise UrfrError(
                f"expected an embedding of {facts['dim']} numbers and {facts['groups']} confidences for "
                f"{image.label}, but got {list(shapes[0])} and {list(shapes[1])}"
            )
        finite = np.isfinite(image.embedding).all() and np.isfinite(image.confidence).all()
        with np.errstate(divide="ignore", over="ignore"):
            usable = finite and (image.confidence > 0).all() and np.isfinite(1 / image.confidence).all()
        if not usable:
            raise UrfrError(f"the model gives no finite embedding and confidences above 0 for {image.label}")
    return list(unique.values())


COLUMNS = "sha256, label, align, embedding, confidence, thumbnail"
"""Of the table of images, in the order of `row_of_image`."""
MARGIN = 16
"""Candidates more than wanted: float32 may order close ones otherwise."""


def row_of_image(image: StoredImage) -> tuple[bytes, str, str, bytes, bytes, bytes]:
    """An image as the columns sha256, label, align, embedding, confidence and thumbnail."""
    embedding = np.ascontiguousarray(image.embedding, np.float16).tobytes()
    confidence = np.ascontiguousarray(image.confidence, np.float32).tobytes()
    return image.sha256, image.label, image.align, embedding, confidence, image.thumbnail


def image_of_row(row: Sequence[Any], facts: Facts, where: str) -> StoredImage:
    """The inverse of `row_of_image`.

    Raises:
        UrfrError: a column is not what it should be.
    """
    sha256, label, align, embedding, confidence, thumbnail = row
    try:
        halves, floats = np.frombuffer(embedding, np.float16), np.frombuffer(confidence, np.float32)
        image = StoredImage(bytes(sha256), str(label), str(align), halves, floats, bytes(thumbnail))
        check_images([image], facts)
    except (TypeError, ValueError, UrfrError) as error:
        raise UrfrError(f"the gallery {where} is damaged: an image in it has {error}") from error
    return image


def wrong_image(names: Sequence[str], images: Sequence[bytes], where: str) -> UrfrError:
    """The error for images that are none of some people's."""
    given = ", ".join(image.hex()[:12] for image in images)
    return UrfrError(
        f"expected the SHA-256 of an image of {', '.join(names)} in the gallery {where}, but got {given}; "
        "urfr gallery export lists them"
    )


def unknown_person(name: str, where: str) -> UrfrError:
    """The error for a person who is not in a gallery."""
    return UrfrError(f"expected the name of somebody in the gallery {where}, but {name!r} is not in it")


def newer_schema(where: str, schema: int) -> UrfrError:
    """The error for a gallery of a future version."""
    return UrfrError(
        f"the gallery {where} has the schema {schema}, and this version of urfr_tf knows {SCHEMA}: a newer "
        "version wrote it; nothing was changed; update urfr_tf"
    )
