"""Crops as they are stored: the names and hashes that shuffle and compare images."""

import hashlib

import numpy as np
from made_up import encoded, picture

from urfr_tf.data.cropper import CropSettings, center_square, crop_center
from urfr_tf.data.images import decode_image
from urfr_tf.data.preparation.crops import encode_crop, order_of, pixel_digest
from urfr_tf.data.sources.item import Item


def test_order_is_a_hash_of_the_names_alone():
    expected = hashlib.blake2b(b"Ann\0Ann/1.png", digest_size=16).digest()
    assert order_of("Ann", "Ann/1.png") == expected
    assert order_of("Ann", "/1") != order_of("Ann/", "1")
    assert len(order_of("\udcff", "名前/\udcfe.png")) == 16


def test_the_digest_is_of_the_picture_not_of_the_file():
    settings = CropSettings(size=20)
    one, same, other = (
        encode_crop(crop_center(Item("a", str(i), content=content), settings), settings)
        for i, content in enumerate(
            [encoded(picture(0), ".png"), encoded(picture(0), ".bmp"), encoded(picture(1), ".png")]
        )
    )
    assert one.digest == same.digest != other.digest
    assert pixel_digest(np.zeros([2, 6, 3], np.uint8)) != pixel_digest(np.zeros([6, 2, 3], np.uint8))


def test_a_crop_is_encoded_or_refused():
    settings = CropSettings(size=20, lossless=True)
    crop = encode_crop(crop_center(Item("a", "k", content=encoded(picture(0))), settings), settings)
    assert not crop.refused
    np.testing.assert_array_equal(decode_image(crop.encoded), center_square(picture(0), 20)[0])
    for settings, data in ((CropSettings(), b""), (CropSettings(min_side=41), encoded(picture(0)))):
        refused = encode_crop(crop_center(Item("a", "k", content=data), settings), settings)
        assert refused.refused and not refused.encoded
    assert refused.refused.startswith("too small: ")
