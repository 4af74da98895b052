"""The calls of `fit` that are left of a training."""

from urfr_tf.training.segments import split_into_segments


def test_segments_finish_the_broken_epoch_first():
    assert split_into_segments(0, 10, 3) == [(0, 3, 10)]
    assert split_into_segments(10, 10, 3) == [(1, 3, 10)]
    assert split_into_segments(14, 10, 3) == [(1, 2, 6), (2, 3, 10)]
    assert split_into_segments(27, 10, 3) == [(2, 3, 3)]


def test_segments_stop_where_the_backbone_is_released():
    assert split_into_segments(0, 10, 3, 1) == [(0, 1, 10), (1, 3, 10)]
    assert split_into_segments(4, 10, 3, 2) == [(0, 1, 6), (1, 2, 10), (2, 3, 10)]
    assert split_into_segments(20, 10, 3, 2) == [(2, 3, 10)]
    assert split_into_segments(0, 10, 3, 5) == [(0, 3, 10)]
