"""Pickled evaluation sets: pairs of images become people."""

import pickle

import pytest
from made_up import encoded, picture, records_of

from urfr_tf.data.sources import bin_pairs
from urfr_tf.errors import UrfrError

IMAGES = [b"", b"\xff\xd8\x80\0\n'\"", bytes(range(256)) * 3]
SAME = [True, False, True]


def stored(tmp_path, content):
    path = tmp_path / "set.bin"
    path.write_bytes(content)
    return path


def test_pairs_become_people_of_two_or_one_images(prepared, tmp_path):
    images = [encoded(picture(i)) for i in range(6)]
    path = stored(tmp_path, pickle.dumps((images, [True, False, True]), 2))
    assert bin_pairs.read_bin(str(path)) == (images, [True, False, True])
    folder, _ = prepared("bin", path)
    people = {(identity, source) for _, identity, source, _, _ in records_of(folder)}
    assert people == {
        ("pair-000000", "000000"),
        ("pair-000000", "000001"),
        ("pair-000001-a", "000002"),
        ("pair-000001-b", "000003"),
        ("pair-000002", "000004"),
        ("pair-000002", "000005"),
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((IMAGES, SAME), "two images for each answer"),
        (([], []), "two images for each answer"),
        ([IMAGES], "two lists"),
        (b"bytes", "two lists"),
        ((IMAGES, b"no list"), "two lists"),
        (([True] * 6, SAME), "encoded images as bytes"),
        ((IMAGES * 2, [b"x"] * 3), "booleans"),
    ],
)
def test_a_set_that_is_no_list_of_pairs_is_a_sentence(tmp_path, content, words):
    with pytest.raises(UrfrError, match=words):
        bin_pairs.read_bin(str(stored(tmp_path, pickle.dumps(content))))
