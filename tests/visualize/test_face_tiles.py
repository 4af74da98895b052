import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.face_tiles import check_faces, tile_faces


def test_tiles_lie_row_by_row_with_gaps():
    # Three 2 x 2 faces of values 10, 20, 30, two a row, gap 1: 2*2 + 1 = 5 high and wide.
    faces = np.stack([np.full((2, 2, 3), value, np.uint8) for value in (10, 20, 30)])
    whole = tile_faces(faces, 2, gap=1, background=7)
    expected = np.array(
        [
            [10, 10, 7, 20, 20],
            [10, 10, 7, 20, 20],
            [7, 7, 7, 7, 7],
            [30, 30, 7, 7, 7],
            [30, 30, 7, 7, 7],
        ]
    )
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole, np.repeat(expected[..., None], 3, axis=2))


def test_float_pixels_are_rounded_and_clipped():
    # 0.5 rounds to even (0), 254.6 to 255; 300 and -3 lie outside 0..255.
    faces = np.array([0.5, 254.6, 300.0, -3.0]).reshape(1, 2, 2, 1) * np.ones(3)
    assert check_faces(faces)[0, :, :, 0].tolist() == [[0, 255], [255, 0]]


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((2, 4, 4, 1)), "RGB faces"),
        (np.zeros((0, 4, 4, 3)), "RGB faces"),
        (np.full((1, 2, 2, 3), np.nan), "finite pixels"),
    ],
)
def test_other_images_are_refused(images, sentence):
    with pytest.raises(UrfrError, match=sentence):
        tile_faces(images, 2)


def test_no_column_is_refused():
    with pytest.raises(UrfrError, match="at least one column"):
        tile_faces(np.zeros((1, 2, 2, 3), np.uint8), 0)
