"""The restricted pickle machine: data come out as they are, and nothing that a file names is run."""

import collections
import os
import pickle
import pickletools

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.pickle_machine import Inert, PickleRules, run_pickle

DATA = {
    "text": "å",
    "numbers": [0, 1, -1, 255, 2**16, 2**31, -(2**63), 2**200, 1.5, float("inf")],
    "others": (None, True, False, b"bytes", bytearray(b"more"), (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "nested": {"a": [{"b": [[]]}], 3: {}, None: 0},
}


def run(content, functions=None):
    rules = PickleRules(functions or {}, lambda identity: ("persistent", identity))
    return run_pickle(content, "a.pt", rules)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_as_pickle_gives_them(protocol):
    data = {**DATA, "twice": [DATA["nested"]] * 2}
    if protocol < 3:  # Bytes were pickled as a call of a codec then.
        data["others"] = data["others"][:3]
    if 3 <= protocol < 5:  # A bytearray was a call, too.
        data["others"] = data["others"][:4]
    assert run(pickle.dumps(data, protocol)) == data


class Hostile:
    """Would write a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_called(tmp_path, protocol):
    mark = tmp_path / "mark"
    content = pickle.dumps({"bad": Hostile(mark), "good": [1]}, protocol)
    tree = run(content)
    assert not mark.exists()
    assert isinstance(tree["bad"], Inert)
    assert tree["bad"].name.endswith("system")
    assert tree["good"] == [1]
    pickle.loads(content)
    assert mark.exists(), "the file was hostile indeed"


def test_objects_become_inert():
    tree = run(pickle.dumps({"a": np.float64(1), "b": collections.Counter("aab"), "c": range(3)}))
    assert all(isinstance(value, Inert) for value in tree.values())


def test_only_a_function_of_exactly_that_name_is_called():
    content = pickle.dumps(collections.OrderedDict(a=1))
    assert run(content, {"collections.OrderedDict": lambda *_: {}}) == {"a": 1}
    assert isinstance(run(content, {"OrderedDict": dict}), Inert)


def test_persistent_ids_go_through():
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", 7) if obj == "outside" else None

    import io

    file = io.BytesIO()
    Pickler(file).dump(["outside", 1])
    assert run(file.getvalue()) == [("persistent", ("storage", 7)), 1]


def test_a_deep_key_is_left_out():
    """Hashing a tuple 100,000 deep would exhaust C's stack and kill the process."""
    content = b"\x80\x04})" + b"\x85" * 100_000 + b"K\x01s."
    assert run(content) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"\x80\x04",
        b"\x80\x04h\x05.",  # an unknown place in the memo
        b"\x80\x04K\x01\x86.",  # a pair of one value
        b"\x80\x04s.",
        b"\x80\x04t.",  # a tuple without a mark
        b"\x80\x04(0.",  # pops a mark
        b"\x80\x04\x8b\xff\xff\xff\x7f",  # a number of 2 GB that is not there
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",  # a text of 2^63 bytes
        b"\x80\x04]K\x01K\x02s.",  # an item of a list by key
        b"\x80\x02\x82\x01.",  # an extension code
        b"I1x\n.",
        b"not a pickle",
    ],
)
def test_damage_is_one_sentence(content):
    try:
        result = run(content)
    except UrfrError as error:
        assert "a.pt is damaged" in str(error)
    else:
        assert result in ([], 1), pickletools.dis(content)


def test_random_damage_never_raises_anything_else():
    good = pickle.dumps(DATA, 4)
    random = np.random.default_rng(0)
    for _ in range(500):
        content = bytearray(good)
        for place in random.integers(0, len(good), 3):
            content[place] = random.integers(0, 256)
        try:
            run(bytes(content))
        except UrfrError as error:
            assert str(error).startswith("a.pt is damaged")
