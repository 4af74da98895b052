"""What is removed is gone: from every byte of every file."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from gallery_people import crowd, embedder, image, probes

from urfr_tf.errors import UrfrError
from urfr_tf.gallery import Gallery
from urfr_tf.gallery.sqlite_store import SqliteStore

SCORES = ("likelihood", "cosine", "weighted")


def traces(stored, templates=()):
    """Runs of bytes that only these images have: of embeddings, hashes and thumbnails, and of templates."""
    found = {}
    for number, one in enumerate(stored):
        found[f"embedding {number}"] = one.embedding.tobytes()[:16]
        found[f"last of embedding {number}"] = one.embedding.tobytes()[-16:]
        found[f"confidence {number}"] = one.confidence.tobytes()[:12]
        found[f"hash {number}"] = one.sha256[:16]
        found[f"label {number}"] = one.label.encode()
        if one.thumbnail:
            found[f"thumbnail {number}"] = one.thumbnail[-15:]
    for score, template in templates:
        found[f"template {score}"] = template.embedding.astype(np.float32).tobytes()[:12]
    return found


def where_found(folder, wanted):
    """Names of traces and the files that hold them."""
    files = [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names]
    contents = {path: Path(path).read_bytes() for path in files}
    return {
        (name, os.path.basename(path))
        for name, trace in wanted.items()
        for path, content in contents.items()
        if trace in content
    }


def big(person):
    """Images with thumbnails of more than a page, which SQLite puts into pages of their own."""
    random = np.random.default_rng(person)
    thumbnails = [bytes([number]) * 5000 + b"END OF %5d, %d" % (person, number) for number in range(5)]
    return [image(random, person, number, thumbnail) for number, thumbnail in enumerate(thumbnails)]


def columns_of(templates):
    """In the matrix a template's numbers lie a column apart, so single numbers are looked for."""
    return {score: template.embedding.reshape(-1) for score, template in templates}


@pytest.mark.parametrize("whole", [True, False], ids=["person", "image"])
def test_no_byte_of_an_embedding_stays(tmp_path, whole):
    folder = tmp_path / "place"
    folder.mkdir()
    people = [(f"person {n}", big(n)) for n in range(80)]
    with Gallery.create(folder / "g", embedder()) as gallery:
        for each in people:
            gallery.add([each])
        for score in SCORES:
            gallery.search(*probes([1]), score=score)
        removed = people[40][1] if whole else people[40][1][2:3]
        templates = [(score, gallery.template("person 40", score)) for score in SCORES]
        wanted = traces(removed)
        assert {name for name, _ in where_found(folder, wanted)} == set(wanted)
        numbers = {score: values[3].tobytes() for score, values in columns_of(templates).items()}
        assert {name for name, _ in where_found(folder, numbers)} == set(SCORES)
        gallery.remove(["person 40"], [] if whole else [one.sha256 for one in removed])
        # Still open: the journal and the matrices are looked at as they are.
        assert where_found(folder, {**wanted, **numbers}) == set()
        assert gallery.faults() == []
        kept = traces(people[41][1])
        assert {name for name, _ in where_found(folder, kept)} == set(kept)


def test_a_removal_that_was_interrupted_is_finished(tmp_path, monkeypatch):
    people = crowd(30)
    with Gallery.create(tmp_path / "g", embedder()) as gallery:
        gallery.add(people)
        gallery.search(*probes([1]))
        # Closing the file empties the log, and SQLite has written zeros. The matrix is still to be done.
        numbers = gallery.template("person 7").embedding.reshape(-1)
        wanted = {str(number): numbers[number].tobytes() for number in range(3)}
        with monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "_finish_removal", lambda self: None)  # as if killed before it
            gallery.remove(["person 7"])
    assert where_found(tmp_path, wanted)
    with Gallery(tmp_path / "g") as gallery:
        assert where_found(tmp_path, wanted) == set()
        assert gallery.size()[:2] == (29, 58)


def test_somebody_who_reads_is_waited_for_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr("urfr_tf.gallery.sqlite_file._WAIT", 0.05)
    people = crowd(3)
    with Gallery.create(tmp_path / "g", embedder()) as gallery:
        gallery.add(people)
        reader = sqlite3.connect(tmp_path / "g", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM image").fetchone()
        with pytest.raises(UrfrError, match=r"the removal is done, but another process reads.*gallery check"):
            gallery.remove(["person 1"])
        reader.close()
        assert gallery.size().people == 2
        assert gallery.faults() == []
        assert where_found(tmp_path, traces(people[1][1])) == set()


@pytest.mark.process
def test_in_postgres_the_files_of_the_tables_are_clean(postgres_server, database):
    """The server's own journal is not looked at: docs/guides/galleries.md says what to do about it."""
    people = crowd(40)
    with Gallery.create(database, embedder()) as gallery:
        for start in range(0, 40, 10):
            gallery.add(people[start : start + 10])
        gallery._store._connection.execute("ANALYZE")  # its statistics must not keep values either
        gallery._store._connection.execute("CHECKPOINT")
        tables = postgres_server.pgdata / "base"
        wanted = traces(people[17][1])
        template = gallery.template("person 17").embedding.reshape(-1) / 2  # of norm 1 with 4 groups
        wanted["template"] = template.astype(np.float16).tobytes()[:12]
        assert {name for name, _ in where_found(tables, wanted)} == set(wanted)
        gallery.remove(["person 17"])
        assert where_found(tables, wanted) == set()
        assert gallery.faults() == []


def test_removing_needs_a_name_and_an_image_that_are_there(either):
    people = crowd(3)
    either.add(people)
    with pytest.raises(UrfrError, match=r"somebody in the gallery .*, but 'Nobody' is not in it"):
        either.remove(["person 1", "Nobody"])
    with pytest.raises(UrfrError, match=r"SHA-256 of an image of person 1"):
        either.remove(["person 1"], [people[2][1][0].sha256])
    assert either.size()[:2] == (3, 6)
    # The last image takes the person along.
    assert either.remove(["person 2"], [one.sha256 for one in people[2][1]]) == 2
    assert [each.name for each in either.people()] == ["person 0", "person 1"]
    assert either.faults() == []
