"""What `urfr prepare` has done so far, on disk: an SQLite table and the crops, waiting for their shard.

Every fact is one row of `images`, so nothing grows in memory with the number of images, and any
order of arrival gives the same shards. A batch is written to the spool files first and committed
second: after a kill, what the table does not know is cut off and done again.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from urfr_tf.data.names import by_name, shown, to_bytes, to_name
from urfr_tf.data.preparation.crops import Crop, shard_of
from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error

_TABLES = """
CREATE TABLE IF NOT EXISTS images (
    ord BLOB PRIMARY KEY, identity BLOB, key BLOB, refused TEXT,
    digest BLOB, shard INTEGER, begin INTEGER, size INTEGER, points BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (ord BLOB, note TEXT);
CREATE TABLE IF NOT EXISTS spools (shard INTEGER PRIMARY KEY, size INTEGER);
CREATE TABLE IF NOT EXISTS shards (shard INTEGER PRIMARY KEY, records INTEGER, bytes INTEGER, sha256 TEXT);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
"""


class Journal:
    """The unfinished work in a folder. Only one process may have it open.

    `shards` is set before the first crop is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = 1
        with self._sentences():
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(folder / "journal.sqlite", isolation_level=None, timeout=1)
            self._database.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL;" + _TABLES)
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.execute("COMMIT")
            self._spooled = dict(self._database.execute("SELECT shard, size FROM spools"))
            for path in folder.glob("*.spool"):
                known = self._spooled.get(int(path.stem), 0)
                if path.stat().st_size > known:
                    os.truncate(path, known)

    def close(self) -> None:
        """Lets the folder go."""
        self._database.close()

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(error, self.folder) from error
        except sqlite3.Error as error:
            words = str(error)
            if "locked" in words:
                raise UrfrError(f"another urfr prepare is writing to {self.folder.parent}") from error
            if "full" in words or "disk I/O" in words:
                raise UrfrError(
                    f"the disk is full or fails: could not write {self.folder}; what was finished is kept, "
                    "the same command continues"
                ) from error
            raise UrfrError(
                f"the unfinished work in {self.folder} is damaged ({words}); delete that folder, start again"
            ) from error

    def fact(self, name: str) -> str | None:
        """A stored text, or None."""
        with self._sentences():
            row = self._database.execute("SELECT value FROM facts WHERE name = ?", [name]).fetchone()
        return row[0] if row else None

    def set_fact(self, name: str, value: str) -> None:
        """Stores a text."""
        with self._sentences():
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])

    def knows(self, order: bytes) -> bool:
        """Whether the image of this order is done."""
        with self._sentences():
            row = self._database.execute("SELECT 1 FROM images WHERE ord = ?", [order]).fetchone()
        return row is not None

    def rows(self) -> int:
        """How many images are done, those refused included."""
        with self._sentences():
            return int(self._database.execute("SELECT count(*) FROM images").fetchone()[0])

    def add(self, crops: list[Crop]) -> None:
        """Stores a batch, wholly or not at all."""
        rows = []
        notes = [(crop.order, note) for crop in crops for note in crop.notes]
        by_shard: dict[int, list[bytes]] = {}
        ends = dict(self._spooled)
        for crop in crops:
            shard = shard_of(crop.order, self.shards)
            begin = ends.get(shard, 0)
            ends[shard] = begin + len(crop.encoded)
            by_shard.setdefault(shard, []).append(crop.encoded)
            points = None if crop.points is None else np.asarray(crop.points, "<f4").tobytes()
            rows.append(
                (
                    crop.order,
                    to_bytes(crop.identity),
                    to_bytes(crop.key),
                    crop.refused or None,
                    crop.digest,
                    shard,
                    begin,
                    len(crop.encoded),
                    points,
                )
            )
        with self._sentences():
            for shard, blobs in by_shard.items():
                with open(self.folder / f"{shard}.spool", "ab") as spool:
                    # A batch that failed half-way in this process has left bytes behind.
                    spool.truncate(self._spooled.get(shard, 0))
                    spool.writelines(blobs)
                    spool.flush()
                    os.fsync(spool.fileno())
            with self._transaction():
                self._database.executemany("INSERT INTO images VALUES (?,?,?,?,?,?,?,?,?)", rows)
                self._database.executemany("INSERT INTO notes VALUES (?,?)", notes)
                self._database.executemany("INSERT OR REPLACE INTO spools VALUES (?, ?)", ends.items())
        self._spooled = ends

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def refuse_duplicates(self) -> None:
        """Of images with the same pixels keeps the first by name of the person, then of the image."""
        with self._sentences(), self._transaction():
            run = self._database.execute
            run("CREATE INDEX IF NOT EXISTS by_digest ON images (digest) WHERE refused IS NULL")
            run("CREATE TEMP TABLE IF NOT EXISTS again (digest BLOB PRIMARY KEY)")
            run("DELETE FROM again")
            run(
                "INSERT INTO again SELECT digest FROM images WHERE refused IS NULL "
                "GROUP BY digest HAVING count(*) > 1"
            )
            for (digest,) in run("SELECT digest FROM again ORDER BY digest"):
                same = "FROM images WHERE digest = ? AND refused IS NULL"
                copies = run(f"SELECT identity, key, ord {same}", [digest])
                identity, key, order = min(copies, key=lambda row: by_name(row[0], row[1]))
                run(
                    "UPDATE images SET refused = "
                    "CASE identity WHEN ? THEN 'duplicate' ELSE 'duplicate of another person' END || ? "
                    "WHERE digest = ? AND refused IS NULL AND ord != ?",
                    [identity, f": same picture as {shown(key)}", digest, order],
                )

    def counts(self) -> dict[str, int]:
        """Identity -> images taken, of those with at least one."""
        with self._sentences():
            rows = self._database.execute(
                "SELECT identity, count(*) FROM images WHERE refused IS NULL GROUP BY identity"
            )
            return {to_name(identity): count for identity, count in rows}

    def refused(self) -> Iterator[tuple[str, str]]:
        """(key, reason) of the images refused, sorted by key."""
        yield from self._listed("SELECT key, refused FROM images WHERE refused IS NOT NULL ORDER BY key, ord")

    def notes(self) -> Iterator[tuple[str, str]]:
        """(key, note) about the images taken, sorted by key."""
        yield from self._listed(
            "SELECT key, note FROM notes JOIN images USING (ord) WHERE refused IS NULL "
            "ORDER BY key, ord, note"
        )

    def _listed(self, query: str) -> Iterator[tuple[str, str]]:
        with self._sentences():
            for key, text in self._database.execute(query):
                yield shown(key), text

    def crops(self, shard: int) -> Iterator[Crop]:
        """The crops of a shard in shuffled order."""
        path = self.folder / f"{shard}.spool"
        with self._sentences(), open(path if path.exists() else os.devnull, "rb") as spool:
            for order, identity, key, begin, size, points in self._database.execute(
                "SELECT ord, identity, key, begin, size, points FROM images "
                "WHERE ord >= ? AND ord < ? AND refused IS NULL ORDER BY ord",
                [_first_order(shard, self.shards), _first_order(shard + 1, self.shards)],
            ):
                encoded = os.pread(spool.fileno(), size, begin)
                if len(encoded) != size:
                    raise UrfrError(
                        f"the unfinished work in {self.folder} is damaged: {path.name} is too short"
                    )
                numbers = None if points is None else tuple(np.frombuffer(points, "<f4").tolist())
                yield Crop(order, to_name(identity), to_name(key), encoded=encoded, points=numbers)

    def finished_shards(self) -> dict[int, tuple[int, int, str]]:
        """Shard -> (records, bytes, sha256) of those already written."""
        with self._sentences():
            rows = self._database.execute("SELECT shard, records, bytes, sha256 FROM shards")
            return {shard: (records, size, digest) for shard, records, size, digest in rows}

    def finish_shard(self, shard: int, records: int, size: int, sha256: str) -> None:
        """Notes that a shard is written, and frees its spool."""
        with self._sentences():
            self._database.execute("INSERT INTO shards VALUES (?, ?, ?, ?)", [shard, records, size, sha256])
            (self.folder / f"{shard}.spool").unlink(missing_ok=True)


def _first_order(shard: int, shards: int) -> bytes:
    # The inverse of `shard_of`: the smallest hash of the range; above all hashes behind the last one.
    first = -(-(shard << 64) // shards)
    return first.to_bytes(8, "big") if shard < shards else b"\xff" * 17
