"""Evaluation reads every image once, in order, cropped in the center."""

import numpy as np
import pytest
from made_up import numbered_shards

from urfr_tf import keys
from urfr_tf.data.stream.evaluation_stream import evaluation_dataset
from urfr_tf.errors import UrfrError

IMAGES, PEOPLE, SIDE = 103, 7, 20


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """103 images in 3 shards: image i is of person i mod 7 and has the color (i, 2 i, row) in every row."""
    return numbered_shards(tmp_path_factory.mktemp("shards"), IMAGES, PEOPLE, SIDE)


def test_evaluation_is_everything_in_order_cropped_in_the_centre(shards):
    batches = list(evaluation_dataset(str(shards), batch_size=50, crop_size=15).as_numpy_iterator())
    assert [len(batch[keys.LABEL]) for batch in batches] == [50, 50, 3]
    whole = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    assert whole[keys.IMAGE].shape == (IMAGES, 15, 15, 3) and whole[keys.IMAGE].dtype == np.float32
    np.testing.assert_array_equal(whole[keys.IMAGE][:, 0, 0, 0], np.arange(IMAGES))
    # (20 - 15) // 2 = 2 rows are left out above.
    np.testing.assert_array_equal(whole[keys.IMAGE][0, :, 0, 2], np.arange(2, 17))
    np.testing.assert_array_equal(whole[keys.LABEL], np.arange(IMAGES) % PEOPLE)
    assert whole["source"][17] == b"17.png" and whole["identity"][17] == b"p3"


def test_images_are_shrunk_before_the_crop_where_asked(shards):
    stream = evaluation_dataset(str(shards), batch_size=103, crop_size=6, scale_to=10)
    (batch,) = stream.as_numpy_iterator()
    assert batch[keys.IMAGE].shape == (IMAGES, 6, 6, 3) and batch[keys.IMAGE].dtype == np.float32
    np.testing.assert_allclose(batch[keys.IMAGE][:, 0, 0, 0], np.arange(IMAGES), atol=1e-4)
    # Pixel i of 10 has its centre at 2 i + 0.5 of the 20 rows; the crop begins at (10 - 6) // 2 = 2.
    np.testing.assert_allclose(batch[keys.IMAGE][0, :, 0, 2], 2 * np.arange(2, 8) + 0.5, atol=1e-4)
    same = evaluation_dataset(str(shards), batch_size=103, crop_size=15, scale_to=SIDE)
    plain = evaluation_dataset(str(shards), batch_size=103, crop_size=15)
    for one, other in zip(same.as_numpy_iterator(), plain.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(one[keys.IMAGE], other[keys.IMAGE])
    with pytest.raises(UrfrError, match=r"scale the images of .* to 1 to 20 pixels, but got 21"):
        evaluation_dataset(str(shards), batch_size=5, crop_size=5, scale_to=21)
    with pytest.raises(UrfrError, match="crop of 1 to 20 pixels"):
        evaluation_dataset(str(shards), batch_size=5, crop_size=0)
    with pytest.raises(UrfrError, match=r"crop of 1 to 10 pixels .* got 11"):
        evaluation_dataset(str(shards), batch_size=5, crop_size=11, scale_to=10)
