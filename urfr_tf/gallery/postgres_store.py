"""A gallery in PostgreSQL with pgvector, for several machines.

A search has two steps. pgvector's index (HNSW over the templates in half precision, by cosine) gives a short
list, and the list is ranked by the exact score. What is removed is deleted, and the tables are written anew
(`VACUUM FULL`), the index with them. The server's own journal and its backups are its administrator's.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import psycopg
from pgvector import HalfVector

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.scoring import LIKELIHOOD
from urfr_tf.gallery.postgres_database import (
    connect,
    create_index,
    create_tables,
    has_gallery,
    read_gallery,
    sentences,
    spell_address,
)
from urfr_tf.gallery.records import (
    COLUMNS,
    MARGIN,
    Facts,
    Person,
    Size,
    StoredImage,
    check_images,
    check_name,
    image_of_row,
    read_alignments,
    row_of_image,
    unknown_person,
    wrong_image,
)
from urfr_tf.gallery.templates import Faces, check_templates, join_images, make_templates
from urfr_tf.metrics.arrays import Float32s, Ints
from urfr_tf.metrics.groups import join_groups

LIST = 200
"""People on the short list; the best by likelihood was among the first 50 by cosine (docs/lab/gallery.md)."""
_EXAMINED = 1000  # templates that the index looks at: fewer miss more of the list
P = ParamSpec("P")
T = TypeVar("T")


def _sentences(
    method: Callable[Concatenate["PostgresStore", P], T],
) -> Callable[Concatenate["PostgresStore", P], T]:
    @functools.wraps(method)
    def wrapped(self: "PostgresStore", *args: P.args, **kwargs: P.kwargs) -> T:
        with sentences(self.where):
            return method(self, *args, **kwargs)

    return wrapped


class PostgresStore:
    """See `store.Store` for what its methods do.

    Args:
        connection: to the database.
        where: its address without a password.
    """

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", where: str) -> None:
        self._connection, self.where = connection, where
        self.facts = read_gallery(connection, where)

    @staticmethod
    def exists(address: str) -> bool:
        """Whether there is a gallery; see `store.store_exists`."""
        with sentences(spell_address(address)), connect(address) as connection:
            return has_gallery(connection)

    @classmethod
    def create(cls, address: str, facts: Facts) -> "PostgresStore":
        """Makes an empty gallery; see `store.create_store`."""
        where = spell_address(address)
        with sentences(where):
            with connect(address) as connection:
                create_tables(connection, facts, where)
            return cls.open(address)

    @classmethod
    def open(cls, address: str) -> "PostgresStore":
        """Opens a gallery; see `store.open_store`."""
        where = spell_address(address)
        with sentences(where):
            connection = connect(address)
            try:
                store = cls(connection, where)
            except BaseException:
                connection.close()
                raise
        with contextlib.suppress(UrfrError):  # the next one that may write does it
            store._finish_removal()
        return store

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _value(self, sql: str, *values: object) -> Any:
        row = self._connection.execute(sql, values).fetchone()
        return None if row is None else row[0]

    @_sentences
    def size(self) -> Size:
        """How large the gallery is now."""
        return self._size("")

    def _size(self, lock: str) -> Size:
        row = self._connection.execute(
            f"SELECT people, images, state FROM urfr_gallery.size{lock}"
        ).fetchone()
        if row is None:
            raise UrfrError(f"the gallery {self.where} is damaged: it does not know its size")
        return Size(*row)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Size]:
        """One transaction, one at a time; gives the size before it."""
        with self._connection.transaction():
            yield self._size(" FOR UPDATE")

    def _note_change(self, people: int, images: int) -> None:
        sql = "UPDATE urfr_gallery.size SET people=%s, images=%s, state=state+1"
        self._connection.execute(sql, (people, images))

    @_sentences
    def add(self, people: Sequence[tuple[str, Sequence[StoredImage]]]) -> int:
        """Adds images of people in one transaction."""
        wanted: dict[str, list[StoredImage]] = {}
        for name, images in people:
            wanted.setdefault(check_name(name), []).extend(images)
        with self._changing() as before:
            there = self._images_by_name(list(wanted))
            new: dict[str, list[StoredImage]] = {}
            for name, images in wanted.items():
                known = {image.sha256 for image in there.get(name, [])}
                checked = check_images(images, self.facts)
                if left := [image for image in checked if image.sha256 not in known]:
                    new[name] = left
            if not new:
                return 0
            added = sum(map(len, new.values()))
            self._write(new, there)
            self._note_change(before.people + len(new.keys() - there.keys()), before.images + added)
            self._note_alignments(image.align for images in new.values() for image in images)
        return added

    def _images_by_name(self, names: list[str]) -> dict[str, list[StoredImage]]:
        sql = (
            f"SELECT name, {COLUMNS} FROM urfr_gallery.person JOIN urfr_gallery.image ON person=id "
            "WHERE name=ANY(%s)"
        )
        found: dict[str, list[StoredImage]] = {}
        for name, *row in self._connection.execute(sql, (names,)):
            found.setdefault(name, []).append(image_of_row(row, self.facts, self.where))
        return found

    def _write(self, new: dict[str, list[StoredImage]], there: dict[str, list[StoredImage]]) -> None:
        """Writes new images and the templates of the people who have them."""
        every = [[*there.get(name, []), *images] for name, images in new.items()]
        images, person = join_images(every, self.facts["groups"])
        check_templates(images, person)
        vectors = join_groups(make_templates(images, person, LIKELIHOOD).embedding)
        rows = [(name, HalfVector(vector)) for name, vector in zip(new, vectors, strict=True)]
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO urfr_gallery.person (name, template) VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET template=EXCLUDED.template",
                rows,
            )
            sql = "SELECT name, id FROM urfr_gallery.person WHERE name=ANY(%s)"
            ids = dict(cursor.execute(sql, (list(new),)).fetchall())
            with cursor.copy(f"COPY urfr_gallery.image (person, {COLUMNS}) FROM STDIN BINARY") as copy:
                copy.set_types(["int8", "bytea", "text", "text", "bytea", "bytea", "bytea"])
                for name, stored in new.items():
                    for image in stored:
                        copy.write_row((ids[name], *row_of_image(image)))

    def _note_alignments(self, aligns: Iterable[str]) -> None:
        known = set(self._alignments())
        if not known.issuperset(aligns := set(aligns)):
            every = json.dumps(sorted(known | aligns))
            self._connection.execute("UPDATE urfr_gallery.facts SET value=%s WHERE name='aligns'", (every,))

    @_sentences
    def alignments(self) -> list[str]:
        """How the photographs of the gallery became crops."""
        return self._alignments()

    def _alignments(self) -> list[str]:
        value = self._value("SELECT value FROM urfr_gallery.facts WHERE name='aligns'")
        return read_alignments(str(value), self.where)

    @_sentences
    def remove(self, names: Sequence[str], images: Sequence[bytes]) -> int:
        """Removes people or images of theirs, and writes the tables anew."""
        removed, gone = 0, 0
        execute = self._connection.execute
        with self._changing() as before:
            for name in dict.fromkeys(map(check_name, names)):
                identity = self._value("SELECT id FROM urfr_gallery.person WHERE name=%s", name)
                if identity is None:
                    raise unknown_person(name, self.where)
                if images:
                    sql = "DELETE FROM urfr_gallery.image WHERE person=%s AND sha256=ANY(%s)"
                    removed += execute(sql, (identity, list(images))).rowcount
                else:
                    sql = "DELETE FROM urfr_gallery.image WHERE person=%s"
                    removed += execute(sql, (identity,)).rowcount
                left = self._images_by_name([name])
                if left:
                    self._write_template(identity, left[name])
                else:
                    execute("DELETE FROM urfr_gallery.person WHERE id=%s", (identity,))
                    gone += 1
            if images and not removed:
                raise wrong_image(names, images, self.where)
            self._note_change(before.people - gone, before.images - removed)
            execute("UPDATE urfr_gallery.facts SET value='1' WHERE name='unwiped'")
        self._finish_removal()
        return removed

    def _write_template(self, identity: int, images: list[StoredImage]) -> None:
        template = make_templates(*join_images([images], self.facts["groups"]), LIKELIHOOD)
        vector = HalfVector(join_groups(template.embedding)[0])
        self._connection.execute("UPDATE urfr_gallery.person SET template=%s WHERE id=%s", (vector, identity))

    @_sentences
    def _finish_removal(self) -> None:
        """Writes the tables without what was removed, where that was not done yet."""
        if self._value("SELECT value FROM urfr_gallery.facts WHERE name='unwiped'") != "1":
            return
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname=current_database() "
            "AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL"
        )
        if self._value(others):
            raise UrfrError(
                f"the removal is done, but another client reads the database {self.where}, so its files "
                "still hold what was removed; urfr gallery check overwrites it when that client has ended"
            )
        for table in ("image", "person"):
            self._connection.execute(f"VACUUM (FULL) urfr_gallery.{table}")
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # the server does it in minutes
            self._connection.execute("CHECKPOINT")
        self._connection.execute("UPDATE urfr_gallery.facts SET value='0' WHERE name='unwiped'")

    @_sentences
    def hashes(self, name: str) -> set[bytes]:
        """SHA-256 of every image of a person."""
        sql = "SELECT sha256 FROM urfr_gallery.image JOIN urfr_gallery.person ON person=id WHERE name=%s"
        return {bytes(row[0]) for row in self._connection.execute(sql, (name,))}

    @_sentences
    def find_images(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """Which of some images are in the gallery, and whose."""
        sql = (
            "SELECT sha256, name FROM urfr_gallery.image JOIN urfr_gallery.person ON person=id "
            "WHERE sha256=ANY(%s)"
        )
        return {bytes(row[0]): row[1] for row in self._connection.execute(sql, (list(hashes),))}

    @_sentences
    def people(self) -> Iterator[Person]:
        """Everybody, in the order of the names."""
        sql = (
            "SELECT name, count(*) FROM urfr_gallery.person JOIN urfr_gallery.image ON person=id "
            "GROUP BY id ORDER BY name"
        )
        return iter([Person(*row) for row in self._connection.execute(sql)])

    @_sentences
    def images_of(self, people: Sequence[int]) -> dict[int, tuple[str, list[StoredImage]]]:
        """Names and images of people by their ids."""
        sql = (
            f"SELECT id, name, {COLUMNS} FROM urfr_gallery.person JOIN urfr_gallery.image ON person=id "
            "WHERE id=ANY(%s) ORDER BY id"
        )
        found: dict[int, tuple[str, list[StoredImage]]] = {}
        for identity, name, *row in self._connection.execute(sql, (list(map(int, people)),)):
            image = image_of_row(row, self.facts, self.where)
            found.setdefault(identity, (name, []))[1].append(image)
        return found

    @_sentences
    def export(self, name: str) -> list[StoredImage] | None:
        """All images of a person."""
        images = self._images_by_name([name]).get(name)
        return None if images is None else sorted(images, key=lambda image: image.sha256)

    @_sentences
    def nearest(self, faces: Faces, score: str, count: int) -> list[Ints]:
        """Ids of the people on the short list of each face."""
        wanted = max(LIST, count + MARGIN)
        sql = "SELECT id FROM urfr_gallery.person ORDER BY template <=> %s LIMIT %s"
        vectors: Float32s = join_groups(faces.embedding)
        lists = []
        with self._connection.transaction():
            self._connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(_EXAMINED),))
            for vector in vectors:
                rows = self._connection.execute(sql, (HalfVector(vector), wanted)).fetchall()
                lists.append(np.array([row[0] for row in rows], np.int64))
        return lists

    @contextlib.contextmanager
    def bulk(self) -> Iterator[None]:
        """Leaves the index out while much is added, and makes it at the end."""
        with sentences(self.where):
            self._connection.execute("DROP INDEX IF EXISTS urfr_gallery.person_template")
        yield
        with sentences(self.where):
            create_index(self._connection)

    @_sentences
    def calibration(self, score: str) -> str | None:
        """The calibration of a score as it was written."""
        content = self._value("SELECT content FROM urfr_gallery.calibration WHERE score=%s", score)
        return None if content is None else str(content)

    @_sentences
    def write_calibration(self, score: str, content: str) -> None:
        """Replaces the calibration of a score."""
        sql = (
            "INSERT INTO urfr_gallery.calibration VALUES (%s, %s) "
            "ON CONFLICT (score) DO UPDATE SET content=EXCLUDED.content"
        )
        self._connection.execute(sql, (score, content))

    @_sentences
    def faults(self) -> list[str]:
        """What is wrong with what is stored."""
        self._finish_removal()
        create_index(self._connection)
        faults, size = [], self._size("")
        tables = ("person", "image")
        counted = [self._value(f"SELECT count(*) FROM urfr_gallery.{table}") for table in tables]
        if counted != [size.people, size.images]:
            faults.append(
                f"{counted[1]} images of {counted[0]} people are there, but it counts {size.images} of "
                f"{size.people}"
            )
        rows = self._connection.execute("SELECT id, name, template FROM urfr_gallery.person ORDER BY name")
        for identity, name, template in rows.fetchall():
            try:
                images = self.images_of([identity]).get(identity, ("", []))[1]
                if check_name(name) != name or not images:
                    faults.append(f"{name!r} has no image, or another form of the name")
                    continue
                made = make_templates(*join_images([images], self.facts["groups"]), LIKELIHOOD)
                expected = join_groups(made.embedding)[0].astype(np.float16)
                if not np.array_equal(np.asarray(template.to_numpy(), np.float16), expected):
                    faults.append(f"{name!r} has another template than that of the images")
            except UrfrError as error:
                faults.append(f"{name!r}: {error}")
        return faults
