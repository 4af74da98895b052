"""Killed writers, two writers, a full disk, damage, versions, other models: a sentence, and nothing lost."""

import json
import os
import signal
import sqlite3
import time

import forked
import numpy as np
import pytest
from gallery_people import GROUPS, WIDTH, crowd, embedder, image, probes

from urfr_tf.errors import UrfrError
from urfr_tf.gallery import Gallery
from urfr_tf.gallery.records import check_name

IMAGES = 8


def add_one_by_one(where, people):
    """In a process of its own: each person in a transaction."""
    with Gallery(where) as gallery:
        for each in crowd(people, IMAGES):
            gallery.add([each])


@pytest.mark.process
def test_killed_in_the_middle_it_has_no_half_person_and_goes_on(tmp_path):
    people = 200
    with Gallery.create(tmp_path / "g", embedder()) as gallery:
        writer = forked.Forked(add_one_by_one, tmp_path / "g", people)
        while gallery.size().people < 5:
            assert writer.poll() is None
            time.sleep(0.005)
        writer.send_signal(signal.SIGKILL)
        writer.wait(60)
        there = gallery.size().people
        assert 5 <= there < people
        assert {each.images for each in gallery.people()} == {IMAGES}
        assert gallery.faults() == []
        # The same once more: what is there is not stored again.
        added = sum(gallery.add([each]) for each in crowd(there + 3, IMAGES))
        assert added == 3 * IMAGES and gallery.size()[:2] == (there + 3, (there + 3) * IMAGES)
        assert gallery.faults() == []


@pytest.mark.process
def test_a_killed_writer_in_postgres(database):
    with Gallery.create(database, embedder()) as gallery:
        writer = forked.Forked(add_one_by_one, database, 200)
        while gallery.size().people < 5:
            assert writer.poll() is None
            time.sleep(0.005)
        writer.kill()
        writer.wait(60)
        assert {each.images for each in gallery.people()} == {IMAGES}
        added = sum(gallery.add([each]) for each in crowd(gallery.size().people + 2, IMAGES))
        assert added in (2 * IMAGES, 3 * IMAGES)  # one more may have been stored before the server noticed
        assert gallery.faults() == []


@pytest.mark.process
def test_two_writers_at_once(tmp_path):
    """Both write the same people; everybody is there once."""
    with Gallery.create(tmp_path / "g", embedder()) as gallery:
        writers = [forked.Forked(add_one_by_one, tmp_path / "g", 30) for _ in range(2)]
        assert [writer.wait(120) for writer in writers] == [0, 0]
        assert gallery.size()[:2] == (30, 30 * IMAGES) and gallery.faults() == []


def test_a_writer_that_does_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr("urfr_tf.gallery.sqlite_file._WAIT", 0.05)
    with Gallery.create(tmp_path / "g", embedder()) as gallery:
        other = sqlite3.connect(tmp_path / "g", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            UrfrError, match=r"another process is writing to the gallery .*nothing was changed"
        ):
            gallery.add(crowd(1))
        other.close()
        assert gallery.add(crowd(1)) == 2


def test_a_full_disk(tmp_path):
    """SQLite counts its pages as if the disk had no more."""
    with Gallery.create(tmp_path / "g", embedder()) as gallery:
        gallery.add(crowd(5))
        connection = gallery._store._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(UrfrError, match=r"the disk is full: could not write the gallery .*unchanged"):
            gallery.add(crowd(500, first=10))
        assert gallery.size()[:2] == (5, 10) and gallery.faults() == []


def test_no_room_for_the_matrix(gallery, monkeypatch):
    gallery.add(crowd(5))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(UrfrError, match=r"the disk is full: could not write .*likelihood\.matrix"):
            gallery.search(*probes([1]))
    (answer,) = gallery.search(*probes([1]))
    assert answer.candidates[0].person == "person 1"


@pytest.mark.parametrize("at", [0, 20, 100, 4096, 3 * 4096, 5 * 4096, 8 * 4096])
def test_a_damaged_file_is_one_sentence(tmp_path, at):
    """The heads of the file and of some of its pages."""
    path = tmp_path / "g"
    with Gallery.create(path, embedder()) as gallery:
        gallery.add(crowd(50))
    content = bytearray(path.read_bytes())
    content[at : at + 64] = b"\xff" * 64
    path.write_bytes(content)
    try:
        with Gallery(path) as gallery:
            assert gallery.faults()
    except UrfrError as error:
        assert "damaged" in str(error) or "expected a gallery" in str(error)


def test_a_file_that_is_cut_off(tmp_path):
    with Gallery.create(tmp_path / "g", embedder()) as gallery:
        gallery.add(crowd(50))
    content = (tmp_path / "g").read_bytes()
    (tmp_path / "g").write_bytes(content[: len(content) // 2])
    with pytest.raises(UrfrError, match="is damaged"), Gallery(tmp_path / "g") as gallery:
        assert gallery.faults() == [] and gallery.search(*probes([1]))


@pytest.mark.parametrize("content", [b"", b"no database", b"\x80\x04cposix\nsystem\n"])
def test_another_file(tmp_path, content):
    (tmp_path / "g").write_bytes(content)
    with pytest.raises(UrfrError, match=rf"gallery.*{tmp_path}/g"):
        Gallery(tmp_path / "g")
    assert (tmp_path / "g").read_bytes() == content


def test_places_without_a_gallery(tmp_path):
    with pytest.raises(UrfrError, match=r"expected a gallery at .*urfr gallery create makes one"):
        Gallery(tmp_path / "nothing")
    with pytest.raises(UrfrError, match="it is a folder"):
        Gallery(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UrfrError, match="a pipe"):
        Gallery(tmp_path / "pipe")
    with pytest.raises(UrfrError, match="could not write"):
        Gallery.create(tmp_path / "pipe" / "g", embedder())


def test_what_is_there_is_not_replaced(either):
    with pytest.raises(UrfrError, match=r"expected no (file|gallery) (at|in) .*there is one"):
        Gallery.create(either.address, embedder())


@pytest.mark.parametrize("schema", [2, 99])
def test_a_future_version(tmp_path, schema):
    Gallery.create(tmp_path / "g", embedder()).close()
    sqlite3.connect(tmp_path / "g").execute(f"PRAGMA user_version={schema}")
    with pytest.raises(UrfrError, match=rf"has the schema {schema}, .*a newer version wrote it"):
        Gallery(tmp_path / "g")


@pytest.mark.process
def test_a_future_version_in_postgres(database):
    with Gallery.create(database, embedder()) as gallery:
        gallery._store._connection.execute("UPDATE urfr_gallery.facts SET value='2' WHERE name='schema'")
    with pytest.raises(UrfrError, match=r"has the schema 2, .*a newer version wrote it"):
        Gallery(database)


@pytest.mark.process
def test_a_database_that_goes_away(database):
    """In the middle of a transaction: nothing of it is stored, and the same call goes on."""
    import psycopg

    with Gallery.create(database, embedder()) as gallery:
        gallery.add(crowd(2))
        store = gallery._store
        pid = store._connection.info.backend_pid
        write = store._write

        def lose(new, there):
            write(new, there)
            with psycopg.connect(database, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))

        store._write = lose
        with pytest.raises(UrfrError, match=r"does not answer or went away.*the same command goes on"):
            gallery.add(crowd(5))
    with Gallery(database) as gallery:
        assert gallery.size()[:2] == (2, 4)
        assert gallery.add(crowd(5)) == 6


@pytest.mark.process
def test_a_database_without_a_gallery_and_one_that_is_not_there(database):
    with pytest.raises(UrfrError, match=r"expected a gallery in postgresql://.*create makes one"):
        Gallery(database)
    with pytest.raises(UrfrError, match=r"does not answer") as error:
        Gallery("postgresql://me:secret@127.0.0.1:1/faces")
    assert "secret" not in str(error.value) and "postgresql://me@127.0.0.1/faces" in str(error.value)


def test_another_model_is_refused_by_name(either):
    other = embedder("b" * 64, "runs/other")
    with pytest.raises(
        UrfrError, match=r"model .*/model \(run, fingerprint aaaaaaaaaaaa\), but runs/other is"
    ):
        either.check_model(other)
    either.check_model(embedder())


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201, "\udce9", "a\0b"])
def test_names_that_cannot_be_stored(gallery, name):
    with pytest.raises(UrfrError, match="printable characters for a person"):
        gallery.add([(name, crowd(1)[0][1])])
    assert gallery.size().people == 0


def test_names_are_values_and_compared_by_their_normal_form(either):
    """Nothing in a name is SQL, and e with an accent is one name in both of its forms."""
    injection = "x'); DROP TABLE image; --%s ?"
    either.add([(injection, crowd(1)[0][1]), ("Ren\u00e9", crowd(1, first=1)[0][1])])
    assert either.add([("Rene\u0301", crowd(1, first=1)[0][1])]) == 0
    assert len(either.hashes("Rene\u0301")) == len(either.hashes(injection)) == 2
    assert check_name("Rene\u0301") == "Ren\u00e9"
    either.remove([injection])
    assert [each.name for each in either.people()] == ["Ren\u00e9"]


@pytest.mark.parametrize("what", ["nan", "zero", "shape"])
def test_embeddings_that_are_none_leave_nobody_behind(either, what):
    ((name, images),) = crowd(1, 3)
    bad = {
        "nan": images[1]._replace(embedding=np.full(GROUPS * WIDTH, np.nan, np.float16)),
        "zero": images[1]._replace(confidence=np.zeros(GROUPS, np.float32)),
        "shape": images[1]._replace(embedding=np.ones(5, np.float16)),
    }[what]
    with pytest.raises(UrfrError, match="1.jpg"):
        either.add([(name, [images[0], bad])])
    assert either.size()[:2] == (0, 0)


def test_images_that_cancel_out_are_refused_before_they_are_stored(either):
    one = image(np.random.default_rng(0))
    other = one._replace(sha256=b"x" * 32, embedding=-one.embedding)
    either.add([("Ann", [one])])
    with pytest.raises(UrfrError, match="norm 0|cancel out"):
        either.add([("Ann", [other])])
    assert either.size()[:2] == (1, 1) and either.faults() == []


def test_facts_that_are_mangled(tmp_path):
    Gallery.create(tmp_path / "g", embedder()).close()
    for facts in ({}, {"format": "urfr-gallery", "groups": 0}, [], "x"):
        with sqlite3.connect(tmp_path / "g") as connection:
            connection.execute("UPDATE facts SET value=? WHERE name='gallery'", (json.dumps(facts),))
        with pytest.raises(UrfrError, match=r"is damaged: its facts are"):
            Gallery(tmp_path / "g")
