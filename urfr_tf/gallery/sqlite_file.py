"""The SQLite file of a gallery: its tables, how it is made and opened, and SQLite's errors as sentences."""

import contextlib
import json
import os
import secrets
import sqlite3
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.scoring import SCORES
from urfr_tf.files import open_regular, replacing
from urfr_tf.gallery.records import SCHEMA, Facts, newer_schema, read_facts

_APPLICATION = 0x75726667  # "urfg"
_WAIT = 10.0  # seconds for another process's change
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE change (number INTEGER PRIMARY KEY, mark TEXT NOT NULL, people INTEGER NOT NULL,
    images INTEGER NOT NULL) STRICT;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, slot INTEGER NOT NULL UNIQUE,
    changed INTEGER NOT NULL) STRICT;
CREATE INDEX person_changed ON person (changed);
CREATE TABLE image (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES person (id),
    sha256 BLOB NOT NULL, label TEXT NOT NULL, align TEXT NOT NULL, embedding BLOB NOT NULL,
    confidence BLOB NOT NULL, thumbnail BLOB NOT NULL, UNIQUE (person, sha256)) STRICT;
CREATE INDEX image_sha256 ON image (sha256);
CREATE TABLE calibration (score TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


@contextlib.contextmanager
def sentences(where: str) -> Iterator[None]:
    """Turns the errors of SQLite into sentences."""
    try:
        yield
    except sqlite3.Error as error:
        raise _sentence(error, where) from error


def _sentence(error: sqlite3.Error, where: str) -> UrfrError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        code &= 0xFF  # without SQLite's further distinctions
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UrfrError(
            f"another process is writing to the gallery {where} and was not done after {_WAIT:.0f} seconds; "
            "nothing was changed, the same command does it later"
        )
    if code == sqlite3.SQLITE_FULL:
        return UrfrError(
            f"the disk is full: could not write the gallery {where}; what it held before is unchanged"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return UrfrError(f"could not write the gallery {where} and the files next to it: {error}")
    if code == sqlite3.SQLITE_IOERR:
        return UrfrError(
            f"could not read or write the gallery {where}: {error}; is the disk full or gone? Changes that "
            "were reported before are kept"
        )
    return UrfrError(
        f"the gallery {where} is damaged: {error}; restore it from a backup, or make a new one from the "
        "photographs"
    )


def create_file(path: Path, facts: Facts) -> None:
    """Makes the file of an empty gallery, whole or not at all; nobody but its owner may read it.

    Raises:
        UrfrError: there is a file already, or it cannot be written.
    """
    if os.path.lexists(path):
        raise UrfrError(f"expected no file at {path}, where a gallery is to be made, but there is one")
    of_sqlite = [path.with_name(f"{path.name}-{part}") for part in ("wal", "shm", "journal")]
    with replacing(path) as tmp_path, sentences(str(path)):
        for left in [*of_sqlite, *matrix_files(path).values()]:  # of a gallery that was deleted
            left.unlink(missing_ok=True)
        os.close(os.open(tmp_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with contextlib.closing(sqlite3.connect(tmp_path, isolation_level=None)) as connection:
            execute = connection.execute
            connection.executescript(_TABLES)
            execute(f"PRAGMA application_id={_APPLICATION}")
            execute(f"PRAGMA user_version={SCHEMA}")
            execute("INSERT INTO facts VALUES ('gallery', ?)", (json.dumps(facts),))
            execute("INSERT INTO facts VALUES ('aligns', '[]'), ('unwiped', '0')")
            execute("INSERT INTO change VALUES (1, ?, 0, 0)", (secrets.token_hex(8),))
            execute("PRAGMA journal_mode=WAL")


def connect(path: Path) -> tuple[sqlite3.Connection, Facts]:
    """Opens the file of a gallery.

    Raises:
        UrfrError: there is none, it is damaged, another file, or of a newer version.
    """
    if not path.exists():
        raise UrfrError(f"expected a gallery at {path}, but nothing is there; urfr gallery create makes one")
    open_regular(path).close()
    quoted = urllib.parse.quote_from_bytes(os.fsencode(os.path.abspath(path)))
    address, where = f"file:{quoted}?mode=rw", str(path)
    with sentences(where):
        connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=_WAIT)
        try:
            settings = ("trusted_schema=OFF", "cell_size_check=ON", "secure_delete=ON", "synchronous=FULL")
            for setting in settings:
                connection.execute(f"PRAGMA {setting}")
            names = ("application_id", "user_version")
            kind, schema = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
            if kind != _APPLICATION:
                raise UrfrError(f"expected a gallery at {where}, but it is another SQLite file")
            if schema != SCHEMA:
                raise newer_schema(where, schema)
            row = connection.execute("SELECT value FROM facts WHERE name='gallery'").fetchone()
            return connection, read_facts(str(row and row[0]), where)
        except BaseException:
            connection.close()
            raise


def matrix_files(path: Path) -> dict[str, Path]:
    """The files of the matrices of a gallery, by score."""
    return {score: path.with_name(f"{path.name}-{score}.matrix") for score in SCORES}
