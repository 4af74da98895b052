import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.summaries import STRIP, captions, confidence_histograms, image_grid


def test_captions_name_the_variations_by_their_initials():
    variation = np.array([[1, 0, 0.7], [0, 0, 0.2]])
    assert captions(np.array([17, 3]), variation, ("blur", "occlusion", "pose")) == ["17 bp", "3"]


def test_the_grid_holds_each_face_over_its_label():
    # 5 faces of 20 x 24, 3 a row, gap 2: height 2 (20 + 14 + 2) - 2, width 3 (24 + 2) - 2.
    faces = np.stack([np.full((20, 24, 3), 40 * value, np.float32) for value in range(5)])
    grid = image_grid(tf.constant(faces), ["7", "", "", "", ""], columns=3)
    assert grid.shape == (1, 2 * (20 + STRIP + 2) - 2, 3 * 26 - 2, 3) and grid.dtype == np.uint8
    assert (grid[0, 36:56, 26:50] == 160).all()
    assert grid[0, 20:34, :24].min() < 100, "the label 7 left dark ink in the first strip"
    assert grid[0, 20:34, 26:50].min() == 255, "an empty label leaves its strip white"


def test_tensorboard_takes_the_grid_and_the_histograms(tmp_path):
    confidence = np.array([[24.0, 3.0], [26.0, np.inf]])
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default(step=1):
        tf.summary.image("augmented", image_grid(np.zeros((2, 16, 16, 3)), [1, 2]))
        for tag, values in confidence_histograms(confidence).items():
            tf.summary.histogram(tag, values)
    writer.flush()
    tags = {}
    for event in tf.compat.v1.train.summary_iterator(str(next(tmp_path.iterdir()))):
        tags.update({value.tag: tf.make_ndarray(value.tensor) for value in event.summary.value})
    assert set(tags) == {"augmented", "confidence/01", "confidence/02"}
    # Buckets are (left, right, count): both images in group 1, the infinite one left out of group 2.
    assert tags["confidence/01"][:, 2].sum() == 2 and tags["confidence/02"][:, 2].sum() == 1


def test_only_the_first_of_a_large_batch_are_shown():
    grid = image_grid(np.zeros((100, 8, 8, 3)), np.arange(100), columns=4, limit=8)
    assert grid.shape == (1, 2 * (8 + STRIP + 2) - 2, 4 * 10 - 2, 3)


def test_sizes_that_do_not_match_are_refused():
    with pytest.raises(UrfrError, match="as many labels"):
        image_grid(np.zeros((2, 8, 8, 3)), [1])
    with pytest.raises(UrfrError, match=r"variations \[2, 1\]"):
        captions(np.arange(2), np.zeros((2, 3)), ("blur",))
    with pytest.raises(UrfrError, match=r"\[B, K\]"):
        confidence_histograms(np.ones(3))
