"""A gallery in one SQLite file with a write-ahead log, and next to it the matrix that is searched.

`GALLERY-wal` and `GALLERY-shm` are SQLite's, `GALLERY-likelihood.matrix` is of `gallery.matrix`.

What is removed is overwritten. SQLite writes zeros over it (`secure_delete`). The file is written anew
(`VACUUM`), because a page may keep a copy of what moved to another page. The log is cut to nothing, and the
matrix is written over. A removal that was interrupted before that is finished at the next opening.
"""

import contextlib
import functools
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.gallery.matrix import Matrix, Slots, State
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
from urfr_tf.gallery.sqlite_file import connect, create_file, matrix_files, sentences
from urfr_tf.gallery.templates import Faces, check_templates, make_templates
from urfr_tf.metrics.arrays import Ints
from urfr_tf.metrics.groups import split_groups

_KEPT_STATES = 1000
_BLOCK = 4096  # people at a time
P = ParamSpec("P")
T = TypeVar("T")


def _sentences(
    method: Callable[Concatenate["SqliteStore", P], T],
) -> Callable[Concatenate["SqliteStore", P], T]:
    @functools.wraps(method)
    def wrapped(self: "SqliteStore", *args: P.args, **kwargs: P.kwargs) -> T:
        with sentences(self.where):
            return method(self, *args, **kwargs)

    return wrapped


class SqliteStore:
    """See `store.Store` for what its methods do.

    Args:
        path: of the file, which exists.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        self._connection, self.facts = connect(path)
        self._matrices: dict[str, Matrix] = {}

    @classmethod
    def create(cls, where: str | os.PathLike[str], facts: Facts) -> "SqliteStore":
        """Makes an empty gallery; see `store.create_store`."""
        create_file(Path(where), facts)
        return cls(Path(where))

    @classmethod
    def open(cls, where: str | os.PathLike[str]) -> "SqliteStore":
        """Opens a gallery; see `store.open_store`."""
        store = cls(Path(where))
        with contextlib.suppress(UrfrError):  # the next one that may write does it
            store._finish_removal()
        return store

    def _value(self, sql: str, *values: object) -> object:
        row = self._connection.execute(sql, values).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    @_sentences
    def size(self) -> Size:
        """How large the gallery is now."""
        return self._size()

    def _size(self) -> Size:
        row = self._connection.execute(
            "SELECT people, images, number FROM change ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            raise UrfrError(f"the gallery {self.where} is damaged: it does not know its size")
        return Size(*row)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Size]:
        """One transaction; gives the size before it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._size()
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _note_change(self, size: Size) -> None:
        execute = self._connection.execute
        execute(
            "INSERT INTO change VALUES (?, ?, ?, ?)",
            (size.state, secrets.token_hex(8), size.people, size.images),
        )
        execute("DELETE FROM change WHERE number <= ?", (size.state - _KEPT_STATES,))

    @_sentences
    def add(self, people: Sequence[tuple[str, Sequence[StoredImage]]]) -> int:
        """Adds images of people in one transaction."""
        checked = [(check_name(name), check_images(images, self.facts)) for name, images in people]
        execute = self._connection.execute
        with self._changing() as before:
            count, new, touched = before.people, 0, []
            for name, images in checked:
                identity = self._value("SELECT id FROM person WHERE name=?", name)
                if identity is None and images:
                    sql = "INSERT INTO person (name, slot, changed) VALUES (?, ?, ?)"
                    identity = execute(sql, (name, count, before.state + 1)).lastrowid
                    count += 1
                added = 0
                for image in images:
                    sql = f"INSERT OR IGNORE INTO image (person, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
                    added += execute(sql, (identity, *row_of_image(image))).rowcount
                if added:
                    touched.append(int(str(identity)))
                    execute("UPDATE person SET changed=? WHERE id=?", (before.state + 1, identity))
                new += added
            for start in range(0, len(touched), _BLOCK):
                check_templates(*self._images(touched[start : start + _BLOCK]))
            if new:
                self._note_change(Size(count, before.images + new, before.state + 1))
                self._note_alignments(image.align for _, images in checked for image in images)
        return new

    def _note_alignments(self, aligns: Iterable[str]) -> None:
        known = set(self._alignments())
        if not known.issuperset(aligns):
            every = json.dumps(sorted(known.union(aligns)))
            self._connection.execute("UPDATE facts SET value=? WHERE name='aligns'", (every,))

    @_sentences
    def alignments(self) -> list[str]:
        """How the photographs of the gallery became crops."""
        return self._alignments()

    def _alignments(self) -> list[str]:
        text = str(self._value("SELECT value FROM facts WHERE name='aligns'"))
        return read_alignments(text, self.where)

    @_sentences
    def remove(self, names: Sequence[str], images: Sequence[bytes]) -> int:
        """Removes people or images of theirs, and overwrites what was stored."""
        removed = 0
        execute = self._connection.execute
        with self._changing() as before:
            people, state = before.people, before.state + 1
            for name in dict.fromkeys(map(check_name, names)):
                identity = self._value("SELECT id FROM person WHERE name=?", name)
                if identity is None:
                    raise unknown_person(name, self.where)
                for sha256 in images:
                    sql = "DELETE FROM image WHERE person=? AND sha256=?"
                    removed += execute(sql, (identity, sha256)).rowcount
                if not images:
                    removed += execute("DELETE FROM image WHERE person=?", (identity,)).rowcount
                if self._value("SELECT 1 FROM image WHERE person=?", identity) is None:
                    people -= 1
                    self._free_slot(identity, people, state)
                else:
                    execute("UPDATE person SET changed=? WHERE id=?", (state, identity))
            if images and not removed:
                raise wrong_image(names, images, self.where)
            self._note_change(Size(people, before.images - removed, state))
            execute("UPDATE facts SET value='1' WHERE name='unwiped'")
        self._finish_removal()
        return removed

    def _free_slot(self, identity: object, last: int, state: int) -> None:
        """Deletes a person without images; the person in the last slot gets the slot."""
        execute = self._connection.execute
        slot = self._value("SELECT slot FROM person WHERE id=?", identity)
        execute("DELETE FROM person WHERE id=?", (identity,))
        execute("UPDATE person SET slot=?, changed=? WHERE slot=?", (slot, state, last))

    @_sentences
    def _finish_removal(self) -> None:
        """Overwrites what was removed, where that was not done yet."""
        if self._value("SELECT value FROM facts WHERE name='unwiped'") != "1":
            return
        for score, path in matrix_files(self.path).items():
            if path.exists():
                self._matrix(score).update(self)
        self._connection.execute("VACUUM")
        self._empty_log()
        self._connection.execute("UPDATE facts SET value='0' WHERE name='unwiped'")
        self._empty_log()

    def _empty_log(self) -> None:
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise UrfrError(
                f"the removal is done, but another process reads the gallery {self.where}, so the log still "
                "holds what was removed; urfr gallery check overwrites it when that process has ended"
            )

    @_sentences
    def hashes(self, name: str) -> set[bytes]:
        """SHA-256 of every image of a person."""
        sql = "SELECT sha256 FROM image WHERE person=(SELECT id FROM person WHERE name=?)"
        return {bytes(row[0]) for row in self._connection.execute(sql, (name,))}

    @_sentences
    def find_images(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """Which of some images are in the gallery, and whose."""
        sql = "SELECT name FROM image JOIN person ON person.id=image.person WHERE sha256=?"
        found = {sha256: self._value(sql, sha256) for sha256 in hashes}
        return {sha256: str(name) for sha256, name in found.items() if name is not None}

    @_sentences
    def people(self) -> Iterator[Person]:
        """Everybody, in the order of the names."""
        sql = (
            "SELECT name, COUNT(*) FROM person JOIN image ON image.person=person.id "
            "GROUP BY person.id ORDER BY name"
        )
        return iter([Person(*row) for row in self._connection.execute(sql)])

    @_sentences
    def images_of(self, people: Sequence[int]) -> dict[int, tuple[str, list[StoredImage]]]:
        """Names and images of people by their ids."""
        found: dict[int, tuple[str, list[StoredImage]]] = {}
        for start in range(0, len(people), _BLOCK):
            some = [int(person) for person in people[start : start + _BLOCK]]
            sql = (
                f"SELECT person.id, name, {COLUMNS} FROM person JOIN image ON image.person=person.id "
                f"WHERE person.id IN ({', '.join('?' * len(some))}) ORDER BY person.id, sha256"
            )
            for identity, name, *row in self._connection.execute(sql, some):
                found.setdefault(identity, (name, []))[1].append(image_of_row(row, self.facts, self.where))
        return found

    @_sentences
    def export(self, name: str) -> list[StoredImage] | None:
        """All images of a person."""
        identity = self._value("SELECT id FROM person WHERE name=?", name)
        return None if identity is None else self.images_of([int(str(identity))])[int(str(identity))][1]

    def _images(self, people: Sequence[int]) -> tuple[Faces, Ints]:
        """Images of people, and whose they are by id, in rising order and each person's by SHA-256."""
        sql = (
            "SELECT person, embedding, confidence FROM image "
            f"WHERE person IN ({', '.join('?' * len(people))}) ORDER BY person, sha256"
        )
        rows = self._connection.execute(sql, people).fetchall()
        groups, dim, count = self.facts["groups"], self.facts["dim"], len(rows)
        embedding = np.frombuffer(b"".join(row[1] for row in rows), np.float16)
        confidence = np.frombuffer(b"".join(row[2] for row in rows), np.float32)
        if embedding.size != count * dim or confidence.size != count * groups or not (confidence > 0).all():
            raise UrfrError(f"the gallery {self.where} is damaged: embeddings of another size than {dim}")
        flat = embedding.reshape(count, dim).astype(np.float32)
        faces = Faces(split_groups(flat, groups), np.float32(1) / confidence.reshape(count, groups))
        return faces, np.array([row[0] for row in rows], np.int64)

    def nearest(self, faces: Faces, score: str, count: int) -> list[Ints]:
        """Ids of the people who come into question for each face."""
        return self._matrix(score).search(faces, count + MARGIN, self)

    def _matrix(self, score: str) -> Matrix:
        if score not in self._matrices:
            groups = self.facts["groups"]
            shape = groups, self.facts["dim"] // groups
            path = matrix_files(self.path)[score]
            self._matrices[score] = Matrix(path, self.facts["id"], score, shape)
        return self._matrices[score]

    @contextlib.contextmanager
    def bulk(self) -> Iterator[None]:
        """Nothing is done differently for many people."""
        yield

    @_sentences
    def newest(self) -> int:
        """See `matrix.Changes`."""
        return self._size().state

    @_sentences
    def knows(self, number: int, mark: str) -> bool:
        """See `matrix.Changes`."""
        return self._value("SELECT 1 FROM change WHERE number=? AND mark=?", number, mark) is not None

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[State]:
        """See `matrix.Changes`."""
        self._connection.execute("BEGIN")
        try:
            row = self._connection.execute(
                "SELECT number, mark, people FROM change ORDER BY number DESC LIMIT 1"
            )
            yield State(*row.fetchone())
        finally:
            self._connection.execute("ROLLBACK")

    def changed_since(self, number: int, score: str) -> Iterator[Slots]:
        """See `matrix.Changes`."""
        sql = "SELECT id, slot FROM person WHERE changed > ? ORDER BY id"
        rows = np.array(self._connection.execute(sql, (number,)).fetchall(), np.int64).reshape(-1, 2)
        for start in range(0, len(rows), _BLOCK):
            people, slots = rows[start : start + _BLOCK].T
            images, owner = self._images(people.tolist())
            if not np.array_equal(np.unique(owner), people):
                raise UrfrError(f"the gallery {self.where} is damaged: a person has no image")
            yield Slots(slots, people, make_templates(images, owner, score))

    @_sentences
    def calibration(self, score: str) -> str | None:
        """The calibration of a score as it was written."""
        content = self._value("SELECT content FROM calibration WHERE score=?", score)
        return None if content is None else str(content)

    @_sentences
    def write_calibration(self, score: str, content: str) -> None:
        """Replaces the calibration of a score."""
        with self._changing():
            sql = "INSERT OR REPLACE INTO calibration VALUES (?, ?)"
            self._connection.execute(sql, (score, content))

    @_sentences
    def faults(self) -> list[str]:
        """What is wrong with what is stored."""
        self._finish_removal()
        faults = self._faults()
        if not faults:
            for path in self._wrong_matrices():
                path.unlink()
                faults.append(f"{path.name} did not hold the templates of the gallery; it was deleted")
        return faults

    def _faults(self) -> list[str]:
        rows = self._connection.execute("PRAGMA integrity_check").fetchall()
        faults = [f"SQLite says: {row[0]}" for row in rows if row[0] != "ok"]
        if faults:
            return faults
        size = self._size()
        counted = [int(str(self._value(f"SELECT COUNT(*) FROM {name}"))) for name in ("person", "image")]
        if counted != [size.people, size.images]:
            faults.append(
                f"{counted[1]} images of {counted[0]} people are there, but it counts {size.images} of "
                f"{size.people}"
            )
        people = self._connection.execute("SELECT id, name, slot FROM person ORDER BY slot").fetchall()
        if [slot for _, _, slot in people] != list(range(len(people))):
            faults.append("the slots of the people are not 0, 1, 2, ...")
        for identity, name, _ in people:
            try:
                if check_name(name) != name or not self.images_of([identity]):
                    faults.append(f"{name!r} has no image, or another form of the name")
            except UrfrError as error:
                faults.append(f"{name!r}: {error}")
        return faults

    def _wrong_matrices(self) -> list[Path]:
        """Files of matrices that differ from what they are made of."""
        files = matrix_files(self.path)
        return [path for score, path in files.items() if path.exists() and not self._is_right(score)]

    def _is_right(self, score: str) -> bool:
        for block in self._matrix(score).read_templates(self):
            by_id = np.argsort(block.people, kind="stable")
            images, owner = self._images(block.people.tolist())
            if not np.array_equal(np.unique(owner), block.people[by_id]):
                return False
            expected, found = make_templates(images, owner, score), block.templates.take(by_id)
            if not all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True)):
                return False
        return True
