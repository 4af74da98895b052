"""What a gallery needs of the place where it is kept, and how the place is found by its address."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from urfr_tf.gallery.records import Facts, Person, Size, StoredImage
from urfr_tf.gallery.templates import Faces
from urfr_tf.metrics.arrays import Ints
from urfr_tf.system.extras import name_missing_extra

POSTGRES = ("postgresql://", "postgres://")


class Store(Protocol):
    """One gallery. What changes it is one transaction, done or not done; one thread at a time may call it."""

    where: str
    """The address as people may see it, without a password."""
    facts: Facts

    def close(self) -> None:
        """Ends the connection."""

    def size(self) -> Size:
        """How large the gallery is now."""

    def add(self, people: Sequence[tuple[str, Sequence[StoredImage]]]) -> int:
        """Adds images of people, and the people where they are new; gives the images that were new."""

    def remove(self, names: Sequence[str], images: Sequence[bytes]) -> int:
        """Removes people, or only those images (SHA-256) of theirs, and overwrites what was stored of them.

        A person without images is removed. Gives the images that were removed.

        Raises:
            UrfrError: a name is not in the gallery, or none of these images is one of these people's.
        """

    def hashes(self, name: str) -> set[bytes]:
        """SHA-256 of every image of a person; empty where the person is not there."""

    def find_images(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """Which of some images (SHA-256) are in the gallery, and whose one of them is."""

    def alignments(self) -> list[str]:
        """How the photographs of the gallery became crops: `mtcnn`, `points`, `none`."""

    def people(self) -> Iterator[Person]:
        """Everybody, in the order of the names."""

    def images_of(self, people: Sequence[int]) -> dict[int, tuple[str, list[StoredImage]]]:
        """Names and images of people by their ids; those who are gone are left out."""

    def export(self, name: str) -> list[StoredImage] | None:
        """All images of a person in the order of their SHA-256; None where the person is not there."""

    def nearest(self, faces: Faces, score: str, count: int) -> list[Ints]:
        """Ids of the people who come into question for each face."""

    def bulk(self) -> AbstractContextManager[None]:
        """While much is added in the block, what it costs is put off to the end of the block."""

    def calibration(self, score: str) -> str | None:
        """The calibration of a score as it was written, or None."""

    def write_calibration(self, score: str, content: str) -> None:
        """Replaces the calibration of a score."""

    def faults(self) -> list[str]:
        """What is wrong with what is stored, a sentence each; and finishes a removal that was interrupted."""


def is_postgres(where: str | os.PathLike[str]) -> bool:
    """Whether an address is one of PostgreSQL."""
    return os.fspath(where).startswith(POSTGRES)


def open_store(where: str | os.PathLike[str]) -> Store:
    """Opens a gallery by its path or its `postgresql://` address.

    Raises:
        UrfrError: there is none, it is damaged, or a newer version made it.
    """
    if is_postgres(where):
        with name_missing_extra("a gallery in PostgreSQL"):
            from urfr_tf.gallery.postgres_store import PostgresStore

            return PostgresStore.open(os.fspath(where))
    from urfr_tf.gallery.sqlite_store import SqliteStore

    return SqliteStore.open(where)


def store_exists(where: str | os.PathLike[str]) -> bool:
    """Whether there is a gallery, or a file in the place of one.

    Raises:
        UrfrError: the database does not answer.
    """
    if is_postgres(where):
        with name_missing_extra("a gallery in PostgreSQL"):
            from urfr_tf.gallery.postgres_store import PostgresStore

            return PostgresStore.exists(os.fspath(where))
    return os.path.lexists(where)


def create_store(where: str | os.PathLike[str], facts: Facts) -> Store:
    """Makes an empty gallery.

    Raises:
        UrfrError: there is one already, or the place cannot be written.
    """
    if is_postgres(where):
        with name_missing_extra("a gallery in PostgreSQL"):
            from urfr_tf.gallery.postgres_store import PostgresStore

            return PostgresStore.create(os.fspath(where), facts)
    from urfr_tf.gallery.sqlite_store import SqliteStore

    return SqliteStore.create(where, facts)
