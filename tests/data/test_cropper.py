"""The geometry of a crop without alignment, and groups that depend on the order of the items alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from made_up import encoded, picture

from urfr_tf.data.cropper import GROUP, Cropper, CropSettings, center_square
from urfr_tf.data.sources.item import Item


def test_the_largest_centered_square_is_taken():
    """92 x 112 like ORL: rows (112 - 92) / 2 = 10 to 101; width 50, height 30: columns 10 to 39."""
    tall = np.arange(112 * 92 * 3, dtype=np.uint32).reshape(112, 92, 3).astype(np.uint8)
    square, _ = center_square(tall, 92)
    np.testing.assert_array_equal(square, tall[10:102])
    wide = picture(0, 30, 50)
    square, _ = center_square(wide, 30)
    np.testing.assert_array_equal(square, wide[:, 10:40])


def test_shrinking_averages_and_keeps_proportions():
    """Blocks of 4 x 4 equal pixels shrink to exactly one pixel each."""
    small = picture(1, 10, 10)
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    square, _ = center_square(large, 10)
    np.testing.assert_array_equal(square, small)
    assert center_square(small, 40)[0].shape == (40, 40, 3)


def test_points_move_with_the_picture():
    """A bright block of 4 x 4 at rows 20..23 and columns 30..33 of 48 x 64 has its centre at (31.5, 21.5).

    The square starts at column 8, so the centre is 23.5 there; shrunk by 4: (23.5 + 0.5) / 4 - 0.5 = 5.5.
    """
    image = np.zeros([48, 64, 3], np.uint8)
    image[20:24, 30:34] = 240
    square, points = center_square(image, 12, (31.5, 21.5))
    np.testing.assert_allclose(points, (5.5, 5.0))
    light = square[..., 0].astype(float)
    rows, columns = np.mgrid[:12, :12]
    centre = (light * columns).sum() / light.sum(), (light * rows).sum() / light.sum()
    np.testing.assert_allclose(points, centre, atol=1e-6)


def test_results_come_in_groups_and_in_order_with_refusals_in_their_places():
    """70 items are groups of 32, 32 and 6; every seventh is no image."""
    contents = [b"no image" if i % 7 == 0 else encoded(picture(i, 20, 24)) for i in range(70)]
    items = [Item("a", str(i), content=content) for i, content in enumerate(contents)]
    for align in ("none", "points"):
        cropper = Cropper(CropSettings(size=20, align=align, on_missing="centre"))
        with ThreadPoolExecutor(2) as pool:
            groups = list(cropper.crop(iter(items), pool, 5, lambda cropped: cropped))
        assert [len(group) for group in groups] == [GROUP, GROUP, 6]
        results = [cropped for group in groups for cropped in group]
        assert [cropped.item.key for cropped in results] == [str(i) for i in range(70)]
        for i, cropped in enumerate(results):
            assert bool(cropped.refused) == (i % 7 == 0)
            if not cropped.refused:
                np.testing.assert_array_equal(cropped.photograph, picture(i, 20, 24))
                np.testing.assert_array_equal(cropped.crop, picture(i, 20, 24)[:, 2:22])
