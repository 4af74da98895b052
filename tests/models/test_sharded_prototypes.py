"""Prototypes in shards over 2, 4, 8 devices: the dense layer's numbers; saved on one R for another."""

import forked
import pytest
import small_urface


def run(replicas, path):
    return forked.value(small_urface.compare, replicas, str(path))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return run(2, tmp_path_factory.mktemp("checkpoint") / "step")


def test_two_shards_equal_the_dense_layer(two):
    """Three steps with momentum, decay and clipping: loss, norm, kernel, momentum, every other weight."""
    assert two["sharded"] < 1e-5
    assert two["sharded_gathered"] < 1e-5
    assert two["sharded_accumulated"] < 1e-5
    assert two["rows"] == [7, 7]  # 13 classes: 7 and 6, padded


def test_unsharded_copies_equal_the_dense_layer_and_one_another(two):
    assert two["copied_gathered"] < 1e-5
    assert two["copies_differ"] == 0


def test_a_checkpoint_goes_onto_another_number_of_shards(two):
    assert two["restored_2"] < 1e-5
    assert two["restored_1"] < 1e-5


def test_only_the_drawn_rows_of_each_shard_move(two):
    """Labels 0, 5 in rows 0..6 and 12 in rows 7..12, two others in each: 4 + 3 rows, kernel and momentum."""
    kernel, momentum = two["moved"]
    assert kernel == momentum
    assert {0, 5, 12} <= set(kernel)
    assert [sum(row < 7 for row in kernel), sum(row >= 7 for row in kernel)] == [4, 3]


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [4, 8])
def test_four_and_eight(two, replicas):
    """8 shards of 2 rows: six full, one of 1, one empty."""
    result = run(replicas, two["path"])
    assert result["rows"] == [-(-13 // replicas)] * replicas
    for name in ("sharded", "sharded_gathered", "sharded_accumulated", f"restored_{replicas}"):
        assert result[name] < 1e-5, name
