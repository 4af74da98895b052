"""The journal of unfinished work: order, duplicates, what a kill leaves, what damage does."""

import sqlite3

import pytest

from urfr_tf.data.preparation.crops import Crop, order_of, shard_of
from urfr_tf.data.preparation.journal import Journal
from urfr_tf.data.preparation.shard_writer import tally
from urfr_tf.errors import UrfrError


def crop(identity, key, content=b"content", digest=None, **fields):
    digest = digest if digest is not None else order_of(key, identity)
    return Crop(order_of(identity, key), identity, key, content, digest, **fields)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "work")
    journal.shards = 3
    yield journal
    journal.close()


def contents(journal):
    return [
        [(c.identity, c.key, c.encoded, c.points) for c in journal.crops(s)] for s in range(journal.shards)
    ]


def test_shards_are_equal_ranges_of_hashes():
    """Two shards: hashes below and from 2^127. Three: cut at ceil(2^64 / 3) = 0x5555555555555556."""
    assert [shard_of(first + bytes(15), 2) for first in (b"\x00", b"\x7f", b"\x80", b"\xff")] == [0, 0, 1, 1]
    cut = 0x5555555555555556
    assert shard_of((cut - 1).to_bytes(8, "big") + b"\xff" * 8, 3) == 0
    assert shard_of(cut.to_bytes(8, "big") + bytes(8), 3) == 1


def test_crops_come_back_by_shard_in_the_order_of_their_hashes(journal):
    points = (1.5, 2.25, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, -10.125)
    crops = [crop("Åsa", f"{i}", bytes([i]) * i, points=points if i % 2 else None) for i in range(60)]
    journal.add(crops[:25])
    journal.add(crops[25:])
    expected = [[] for _ in range(3)]
    for c in sorted(crops, key=lambda c: c.order):
        expected[shard_of(c.order, 3)].append((c.identity, c.key, c.encoded, c.points))
    assert contents(journal) == expected
    assert journal.rows() == 60 and journal.counts() == {"Åsa": 60}
    assert journal.knows(crops[0].order) and not journal.knows(order_of("Åsa", "60"))


def test_names_that_are_not_utf8_come_back(journal):
    journal.add(
        [crop("J\udcfcrgen", "J\udcfcrgen/1.png"), crop("x", "line\nbreak\ttab", b"", refused="too small: 3")]
    )
    assert journal.counts() == {"J\udcfcrgen": 1}
    assert list(journal.refused()) == [(r"line\nbreak\ttab", "too small: 3")]


def test_duplicates_keep_the_first_by_natural_name_whatever_came_first(journal):
    same = b"same".ljust(16)
    journal.add([crop("s10", "s10/1", digest=same), crop("s2", "s2/10", digest=same), crop("s3", "s3/1")])
    journal.add([crop("s2", "s2/9", digest=same), crop("s4", "s4/1", b"", same, refused="unreadable: x")])
    journal.refuse_duplicates()
    journal.refuse_duplicates()
    assert list(journal.refused()) == [
        ("s10/1", "duplicate of another person: same picture as s2/9"),
        ("s2/10", "duplicate: same picture as s2/9"),
        ("s4/1", "unreadable: x"),
    ]
    assert tally(text for _, text in journal.refused()) == {
        "duplicate": 1,
        "duplicate of another person": 1,
        "unreadable": 1,
    }
    assert journal.counts() == {"s2": 1, "s3": 1}


def test_notes_of_refused_images_are_not_listed(journal):
    same = b"same".ljust(16)
    notes = ("several faces: 2", "face at the border: x")
    journal.add([crop("a", "a/1", digest=same, notes=notes), crop("b", "b/1", digest=same, notes=notes)])
    journal.refuse_duplicates()
    assert list(journal.notes()) == [("a/1", "face at the border: x"), ("a/1", "several faces: 2")]


def test_what_was_spooled_but_not_committed_is_cut_off(journal, tmp_path):
    """A kill between the two writes leaves bytes that the table does not know."""
    journal.add([crop("a", str(i), b"kept") for i in range(20)])
    before = contents(journal)
    journal.close()
    for spool in (tmp_path / "work").glob("*.spool"):
        spool.write_bytes(spool.read_bytes() + b"left behind")
    (tmp_path / "work" / "2.spool").touch()
    again = Journal(tmp_path / "work")
    again.shards = 3
    assert contents(again) == before
    again.add([crop("b", str(i), b"new") for i in range(20)])
    assert sum(len(shard) for shard in contents(again)) == 40
    assert {row[2] for shard in contents(again) for row in shard} == {b"kept", b"new"}
    again.close()


def test_a_batch_is_added_wholly_or_not_at_all(journal):
    journal.add([crop("a", "1")])
    with pytest.raises(UrfrError):
        journal.add([crop("b", "1"), crop("a", "1")])  # the second is there already
    assert journal.counts() == {"a": 1}
    journal.add([crop("b", str(i)) for i in range(9)])
    assert journal.counts() == {"a": 1, "b": 9}
    assert {row[2] for shard in contents(journal) for row in shard} == {b"content"}


def test_only_one_process_may_write(journal, tmp_path):
    with pytest.raises(UrfrError, match="another urfr prepare"):
        Journal(tmp_path / "work")


def test_facts_and_finished_shards_stay(journal, tmp_path):
    journal.add([crop("a", str(i)) for i in range(9)])
    journal.set_fact("complete", "yes")
    journal.finish_shard(1, 3, 100, "abc")
    assert not (tmp_path / "work" / "1.spool").exists()
    journal.close()
    again = Journal(tmp_path / "work")
    assert again.fact("complete") == "yes" and again.fact("other") is None
    assert again.finished_shards() == {1: (3, 100, "abc")}
    again.close()


def test_damage_is_a_sentence(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "journal.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(UrfrError, match="damaged"):
        Journal(tmp_path / "work")


def test_a_spool_that_lost_bytes_is_a_sentence(journal, tmp_path):
    journal.add([crop("a", str(i), b"0123456789") for i in range(30)])
    (tmp_path / "work" / "0.spool").write_bytes(b"0123")
    with pytest.raises(UrfrError, match="damaged"):
        contents(journal)


def test_errors_of_the_database_are_sentences(journal, monkeypatch):
    for words, expected in (("database or disk is full", "disk is full"), ("malformed", "damaged")):

        def fail(*_, words=words):
            raise sqlite3.OperationalError(words)

        with pytest.raises(UrfrError, match=expected), journal._sentences():
            fail()
