"""The database of a gallery: its tables, the connection, and PostgreSQL's errors as sentences."""

import contextlib
import json
from collections.abc import Iterator

import psycopg
from pgvector.psycopg import register_vector
from psycopg import conninfo, errors

from urfr_tf.errors import UrfrError, short_reason_of
from urfr_tf.gallery.records import SCHEMA, Facts, newer_schema, read_facts

_WAIT = 10  # seconds for a connection and for another client's change
_MOST_DIMENSIONS = 4000  # of pgvector's index over half-precision vectors
# DIM is the number of dimensions: a definition takes no parameters.
_TABLES = (
    "CREATE SCHEMA urfr_gallery",
    "CREATE TABLE urfr_gallery.facts (name text PRIMARY KEY, value text NOT NULL)",
    "CREATE TABLE urfr_gallery.size (people bigint NOT NULL, images bigint NOT NULL, state bigint NOT NULL)",
    "CREATE TABLE urfr_gallery.person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    'name text COLLATE "C" NOT NULL UNIQUE, template halfvec(DIM) NOT NULL)',
    "CREATE TABLE urfr_gallery.image (person bigint NOT NULL REFERENCES urfr_gallery.person (id), "
    "sha256 bytea NOT NULL, label text NOT NULL, align text NOT NULL, embedding bytea NOT NULL, "
    "confidence bytea NOT NULL, thumbnail bytea NOT NULL, PRIMARY KEY (person, sha256))",
    "CREATE INDEX image_sha256 ON urfr_gallery.image (sha256)",
    "CREATE TABLE urfr_gallery.calibration (score text PRIMARY KEY, content text NOT NULL)",
    "INSERT INTO urfr_gallery.size VALUES (0, 0, 1)",
    "INSERT INTO urfr_gallery.facts VALUES ('aligns', '[]'), ('unwiped', '0')",
)
# The planner's statistics would keep values of people who were removed since.
_WITHOUT_STATISTICS = {
    "person": ("name", "template"),
    "image": ("sha256", "label", "align", "embedding", "confidence", "thumbnail"),
}
_PUT_FACT = "INSERT INTO urfr_gallery.facts VALUES (%s, %s)"


def spell_address(address: str) -> str:
    """An address without its password.

    Raises:
        UrfrError: it is no address of PostgreSQL.
    """
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.Error as error:
        raise UrfrError(
            f"expected postgresql://USER@HOST/DATABASE as the gallery, but it does not parse: "
            f"{short_reason_of(error)}"
        ) from error
    user, host, database = (str(parts.get(name) or "") for name in ("user", "host", "dbname"))
    place = host if not host.startswith("/") else ""
    return f"postgresql://{user}{'@' if user else ''}{place}/{database}"


@contextlib.contextmanager
def sentences(where: str) -> Iterator[None]:
    """Turns the errors of PostgreSQL into sentences."""
    try:
        yield
    except psycopg.Error as error:
        raise _sentence(error, where) from error


def _sentence(error: psycopg.Error, where: str) -> UrfrError:
    reason = short_reason_of(error)
    if isinstance(error, errors.LockNotAvailable):
        return UrfrError(
            f"another client is writing to the gallery {where} and was not done after {_WAIT} seconds; "
            "nothing was changed, the same command does it later"
        )
    if isinstance(error, errors.DiskFull):
        return UrfrError(f"the disk of the database {where} is full; what it held before is unchanged")
    if isinstance(error, errors.InsufficientPrivilege):
        return UrfrError(f"the database {where} does not allow it: {reason}")
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return UrfrError(f"expected a gallery in {where}, but there is none; urfr gallery create makes one")
    if isinstance(error, errors.DuplicateSchema | errors.DuplicateTable | errors.UniqueViolation):
        return UrfrError(f"expected no gallery in {where}, where one is to be made, but there is one")
    if isinstance(error, errors.FeatureNotSupported | errors.UndefinedFile | errors.UndefinedObject):
        return UrfrError(f"the database {where} needs the extension pgvector 0.7 or newer: {reason}")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return UrfrError(
            f"the database {where} does not answer or went away: {reason}; what was not reported as stored "
            "is not stored, and the same command goes on"
        )
    return UrfrError(f"the database {where} refuses: {reason}")


def connect(address: str) -> "psycopg.Connection[tuple[object, ...]]":
    """Opens a connection in autocommit; a transaction is a `with connection.transaction()`."""
    # Not prepared: the statements of one transaction may go through different connections of a pool.
    connection = psycopg.connect(
        address,
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=_WAIT,
        application_name="urfr gallery",
    )
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{_WAIT}s",))
    return connection


def has_gallery(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Whether there is a gallery in the database."""
    row = connection.execute("SELECT to_regclass('urfr_gallery.facts') IS NOT NULL").fetchone()
    return bool(row and row[0])


def create_tables(connection: "psycopg.Connection[tuple[object, ...]]", facts: Facts, where: str) -> None:
    """Makes an empty gallery.

    Raises:
        UrfrError: there is one already, or the embeddings are too long for pgvector's index.
    """
    if facts["dim"] > _MOST_DIMENSIONS:
        raise UrfrError(
            f"expected embeddings of at most {_MOST_DIMENSIONS} numbers for a gallery in PostgreSQL, but the "
            f"model gives {facts['dim']}"
        )
    if has_gallery(connection):
        raise UrfrError(f"expected no gallery in {where}, where one is to be made, but there is one")
    with connection.transaction():
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        for statement in _TABLES:
            connection.execute(statement.replace("DIM", str(int(facts["dim"]))))
        for table, columns in _WITHOUT_STATISTICS.items():
            changes = ", ".join(f"ALTER COLUMN {column} SET STATISTICS 0" for column in columns)
            connection.execute(f"ALTER TABLE urfr_gallery.{table} {changes}")
        connection.execute(_PUT_FACT, ("gallery", json.dumps(facts)))
        connection.execute(_PUT_FACT, ("schema", str(SCHEMA)))
        create_index(connection)


def create_index(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Makes the index over the templates, where there is none."""
    connection.execute(
        "CREATE INDEX IF NOT EXISTS person_template ON urfr_gallery.person USING hnsw "
        "(template halfvec_cosine_ops)"
    )


def read_gallery(connection: "psycopg.Connection[tuple[object, ...]]", where: str) -> Facts:
    """Reads the facts, and makes the connection know pgvector's types.

    Raises:
        UrfrError: there is no gallery, or one of a newer version.
    """
    if not has_gallery(connection):
        raise UrfrError(f"expected a gallery in {where}, but there is none; urfr gallery create makes one")
    rows = connection.execute("SELECT name, value FROM urfr_gallery.facts").fetchall()
    found = {str(name): str(value) for name, value in rows}
    schema = str(found.get("schema"))
    if schema != str(SCHEMA):
        if schema.isdigit() and int(schema) > SCHEMA:
            raise newer_schema(where, int(schema))
        raise UrfrError(f"the gallery {where} is damaged: its schema is {schema[:50]!r}")
    register_vector(connection)
    return read_facts(str(found.get("gallery")), where)
