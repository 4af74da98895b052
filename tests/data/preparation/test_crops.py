"""The geometry of a crop without alignment, and the names and hashes that shuffle and compare images."""

import hashlib

import numpy as np
from made_up import encoded, picture

from urfr_tf.data.images import decode_image
from urfr_tf.data.preparation.crops import CropSettings, centre_square, centred_crop, order_of, pixel_digest
from urfr_tf.data.sources.item import Item


def test_the_largest_centred_square_is_taken():
    """92 x 112 like ORL: rows (112 - 92) / 2 = 10 to 101; width 50, height 30: columns 10 to 39."""
    tall = np.arange(112 * 92 * 3, dtype=np.uint32).reshape(112, 92, 3).astype(np.uint8)
    square, _ = centre_square(tall, 92)
    np.testing.assert_array_equal(square, tall[10:102])
    wide = picture(0, 30, 50)
    square, _ = centre_square(wide, 30)
    np.testing.assert_array_equal(square, wide[:, 10:40])


def test_shrinking_averages_and_keeps_proportions():
    """Blocks of 4 x 4 equal pixels shrink to exactly one pixel each."""
    small = picture(1, 10, 10)
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    square, _ = centre_square(large, 10)
    np.testing.assert_array_equal(square, small)
    assert centre_square(small, 40)[0].shape == (40, 40, 3)


def test_points_move_with_the_picture():
    """A bright block of 4 x 4 at rows 20..23 and columns 30..33 of 48 x 64 has its centre at (31.5, 21.5).

    The square starts at column 8, so the centre is 23.5 there; shrunk by 4: (23.5 + 0.5) / 4 - 0.5 = 5.5.
    """
    image = np.zeros([48, 64, 3], np.uint8)
    image[20:24, 30:34] = 240
    square, points = centre_square(image, 12, (31.5, 21.5))
    np.testing.assert_allclose(points, (5.5, 5.0))
    light = square[..., 0].astype(float)
    rows, columns = np.mgrid[:12, :12]
    centre = (light * columns).sum() / light.sum(), (light * rows).sum() / light.sum()
    np.testing.assert_allclose(points, centre, atol=1e-6)


def test_order_is_a_hash_of_the_names_alone():
    expected = hashlib.blake2b(b"Ann\0Ann/1.png", digest_size=16).digest()
    assert order_of("Ann", "Ann/1.png") == expected
    assert order_of("Ann", "/1") != order_of("Ann/", "1")
    assert len(order_of("\udcff", "名前/\udcfe.png")) == 16


def test_the_digest_is_of_the_picture_not_of_the_file():
    settings = CropSettings(size=20)
    one, same, other = (
        centred_crop(Item("a", str(i), content=content), settings)
        for i, content in enumerate(
            [encoded(picture(0), ".png"), encoded(picture(0), ".bmp"), encoded(picture(1), ".png")]
        )
    )
    assert one.digest == same.digest != other.digest
    assert pixel_digest(np.zeros([2, 6, 3], np.uint8)) != pixel_digest(np.zeros([6, 2, 3], np.uint8))


def test_a_crop_is_encoded_or_refused():
    crop = centred_crop(Item("a", "k", content=encoded(picture(0))), CropSettings(size=20, lossless=True))
    assert not crop.refused
    np.testing.assert_array_equal(decode_image(crop.encoded), centre_square(picture(0), 20)[0])
    for settings, data in ((CropSettings(), b""), (CropSettings(min_side=41), encoded(picture(0)))):
        refused = centred_crop(Item("a", "k", content=data), settings)
        assert refused.refused and not refused.encoded
    assert refused.refused.startswith("too small: ")
