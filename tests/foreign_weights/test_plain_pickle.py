"""Pickles are read as data: what plain data needs works in every protocol, and nothing is ever called."""

import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.plain_pickle import parse_plain, read_plain

IMAGES = [b"", b"\xff\xd8\x80\0\n'\"", bytes(range(256)) * 3]
SAME = [True, False, True]


def stored(tmp_path, content):
    path = tmp_path / "set.bin"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_python_3(tmp_path, protocol):
    for images in (IMAGES, [bytearray(image) for image in IMAGES]):
        path = stored(tmp_path, pickle.dumps((images, SAME), protocol))
        assert read_plain(path) == (IMAGES, SAME)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_arrays_of_bytes_and_booleans(tmp_path, protocol):
    arrays = [np.frombuffer(image, np.uint8) for image in IMAGES]
    answers = [np.bool_(answer) for answer in SAME]
    path = stored(tmp_path, pickle.dumps([arrays, answers], protocol))
    assert read_plain(path) == [IMAGES, SAME]


def test_python_2_as_mxnet_s_sets_were_written(tmp_path):
    """Protocol 2 of Python 2 writes str as SHORT_BINSTRING and BINSTRING: opcodes U and T, after PROTO 2."""
    short, long = IMAGES[1], IMAGES[2]
    program = (
        b"\x80\x02]q\x00(U" + bytes([len(short)]) + short + b"q\x01T" + struct.pack("<i", len(long)) + long
    )
    program += b"q\x02e]q\x03(\x88\x89e\x86q\x04."
    assert read_plain(stored(tmp_path, program)) == ([short, long], [True, False])


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "attack",
    [
        lambda mark: Call(os.system, f"touch {mark}"),
        lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Call(subprocess.check_output, ["touch", str(mark)]),
        lambda mark: Call(getattr, Call(__import__, "os"), "system"),
        lambda mark: Call(bytearray, Call(os.system, f"touch {mark}")),
        lambda mark: Call(np.frombuffer, Call(eval, f"open({str(mark)!r}, 'w')"), "u1"),
    ],
)
def test_a_call_is_refused_and_never_made(tmp_path, protocol, attack):
    mark = tmp_path / "was_here"
    path = stored(tmp_path, pickle.dumps(([attack(mark)], SAME), protocol))
    with pytest.raises(UrfrError, match="a call of"):
        read_plain(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1},
        {1, 2},
        "text",
        3,
        2.5,
        None,
        object(),
        ValueError("x"),
        np.zeros(3, np.float32),
        np.zeros([2, 3], np.uint8),
        np.array([b"x"], dtype=object),
        np.float32(1),
        np.uint8(1),
        [[b"deeper"]],
        ([True],),
        memoryview,
        complex(1, 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_other_types_are_refused(value):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(UrfrError, match="nothing but bytes, lists and booleans"):
            parse_plain(pickle.dumps(([value], SAME), protocol), "it")


def test_crafted_programs_are_sentences(tmp_path):
    loop = []
    loop.append(loop)
    crafted = [
        b"",
        b"no pickle",
        b".",  # nothing on the stack
        b"\x80\x04]",  # no end
        b"(((((.",  # marks only
        b"e.",  # appends without a mark
        b"\x80\x04h\x05.",  # a memo that was never set
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",  # bytes longer than the file
        b"\x80\x04r\xff\xff\xff\xff.",  # a memo far away
        b"\x80\x02N]b.",  # state for None
        b"cos\nsystem\n.",  # a name alone
        b"\x80\x02]cos\nsystem\na.",  # a name in a list
        b"\x80\x02(ios\nsystem\n.",  # INST
        b"\x80\x02cos\nsystem\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pid\n.",  # PERSID
        pickle.dumps(loop),
        pickle.dumps([[1]] * 3)[:-4],
    ]
    for program in crafted:
        with pytest.raises(UrfrError, match="nothing but bytes"):
            read_plain(stored(tmp_path, program))
    with pytest.raises(UrfrError, match="could not read"):
        read_plain(tmp_path / "missing.bin")


def test_damaged_pickles_never_raise_anything_else():
    whole = pickle.dumps(([np.frombuffer(image, np.uint8) for image in IMAGES], SAME), 4)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(whole)
        for at in random.integers(0, len(damaged), 3):
            damaged[at] = random.integers(256)
        try:
            parse_plain(bytes(damaged), "it")
        except UrfrError:
            refused += 1
    assert refused > 300


def test_a_set_is_no_list():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(UrfrError, match="nothing but bytes, lists and booleans"):
            parse_plain(pickle.dumps((frozenset([b"x"]), SAME), protocol), "it")


def test_a_name_that_is_a_deep_tuple_is_refused():
    """Spelling a tuple 100,000 deep would exhaust the stack."""
    content = b"\x80\x04)" + b"\x85" * 100_000 + b"\x8c\x01x\x93."
    with pytest.raises(UrfrError, match="a name that is no text"):
        parse_plain(content, "it")
