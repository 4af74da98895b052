import cv2
import numpy as np
import tensorflow as tf

from urfr_tf.data.stream.random_crop import crop_images, crop_points

SIDE, CROP = 30, 24
OFFSET = np.array([[0, 0], [6, 6], [2, 5], [4, 1]], np.int32)
MIRRORED = np.array([False, True, False, True])


def expected(images):
    cut = [
        image[top : top + CROP, left : left + CROP] for image, (top, left) in zip(images, OFFSET, strict=True)
    ]
    return np.stack([image[:, ::-1] if flip else image for image, flip in zip(cut, MIRRORED, strict=True)])


def test_cuts_and_mirrors_pixels_and_encoded_images_alike():
    images = np.random.default_rng(0).integers(0, 256, [4, SIDE, SIDE, 3], dtype=np.uint8)
    got = crop_images(tf.constant(images), tf.constant(OFFSET), tf.constant(MIRRORED), SIDE, CROP)
    np.testing.assert_array_equal(got, expected(images))
    files = [cv2.imencode(".png", image[..., ::-1])[1].tobytes() for image in images]
    got = crop_images(tf.constant(files), tf.constant(OFFSET), tf.constant(MIRRORED), SIDE, CROP)
    np.testing.assert_array_equal(got, expected(images))


def test_reads_jpeg_in_colour_and_in_grey():
    row = np.linspace(0, 255, SIDE).astype(np.uint8)
    colour = np.stack([np.tile(row, (SIDE, 1))] * 3, axis=-1)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    files = [cv2.imencode(".jpg", image, quality)[1].tobytes() for image in (colour, colour[..., 0])] * 2
    got = crop_images(tf.constant(files), tf.constant(OFFSET), tf.constant(MIRRORED), SIDE, CROP).numpy()
    # Quality 95 quantises a ramp by steps of a few grey levels.
    assert np.abs(got.astype(int) - expected([colour] * 4)).max() <= 8


def test_points_move_with_the_pixels_and_left_stays_left():
    random = np.random.default_rng(1)
    images = np.zeros([4, SIDE, SIDE, 3], np.uint8)
    # Left eye, right eye, nose, left and right corner of the mouth, all inside every crop.
    points = np.array([[9, 10], [19, 9], [14, 14], [10, 19], [18, 20]]) + random.integers(-2, 3, [4, 5, 2])
    for image, five in zip(images, points, strict=True):
        for value, (x, y) in enumerate(five, start=1):
            image[y, x] = value
    cut = crop_images(tf.constant(images), tf.constant(OFFSET), tf.constant(MIRRORED), SIDE, CROP).numpy()
    flat = tf.constant(points.reshape(4, 10), tf.float32)
    moved = crop_points(flat, tf.constant(OFFSET), tf.constant(MIRRORED), CROP).numpy().reshape(4, 5, 2)
    for image, five, flip in zip(cut, moved.astype(int), MIRRORED, strict=True):
        # In a mirrored image what was the right eye is the left one.
        values = [2, 1, 3, 5, 4] if flip else [1, 2, 3, 4, 5]
        assert [image[y, x, 0] for x, y in five] == values
        assert five[0, 0] < five[1, 0] and five[3, 0] < five[4, 0]
