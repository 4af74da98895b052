import cv2
import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.augment.blur import draw_kernel_size, gaussian_blur

SIZES = (3, 5, 7, 9, 11)


def sigma_of(size):
    return 0.3 * ((size - 1) * 0.5 - 1) + 0.8


def oracle(image, size):
    """The blur of one image [H, W, C] in float64, tap by tap, borders mirrored without the edge pixel."""
    offset = np.arange(size) - size // 2
    taps = np.exp(-(offset**2) / (2 * sigma_of(size) ** 2))
    taps /= taps.sum()
    reach = size // 2
    padded = np.pad(image.astype(np.float64), [(reach, reach), (reach, reach), (0, 0)], mode="reflect")
    rows = sum(tap * padded[i : i + image.shape[0]] for i, tap in enumerate(taps))
    return sum(tap * rows[:, i : i + image.shape[1]] for i, tap in enumerate(taps))


@pytest.fixture(scope="module")
def blurred():
    """Noise, each image with another size, and what becomes of it."""
    images = np.random.default_rng(0).uniform(0, 255, [5, 17, 22, 3]).astype(np.float32)
    return images, gaussian_blur(tf.constant(images), tf.constant(SIZES)).numpy()


def test_every_size_is_the_float64_blur(blurred):
    images, got = blurred
    assert got.dtype == np.float32 and got.shape == images.shape
    for image, size, result in zip(images, SIZES, got, strict=True):
        # Two passes of 11 products of at most 255, each rounded to 24 bits: 2 * 12 * 255 * 2^-24 = 3.6e-4.
        np.testing.assert_allclose(result, oracle(image, size), rtol=0, atol=5e-4)


def test_agrees_with_opencv_at_the_same_sigma(blurred):
    images, got = blurred
    for image, size, result in zip(images, SIZES, got, strict=True):
        sigma, border = sigma_of(size), cv2.BORDER_REFLECT_101
        expected = cv2.GaussianBlur(image, (size, size), sigma, borderType=border)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-3)


def test_a_flat_image_stays_as_it_is():
    images = tf.fill([5, 12, 12, 3], 200.0)
    # The taps of a size add up to 1 within 11 roundings of 2^-25 each: 200 * 2 * 11 * 2^-25 = 1.3e-4.
    np.testing.assert_allclose(gaussian_blur(images, tf.constant(SIZES)), images, rtol=0, atol=2e-4)


def test_bytes_are_rounded_once_at_the_end(blurred):
    images = np.rint(blurred[0]).astype(np.uint8)
    got = gaussian_blur(tf.constant(images), tf.constant(SIZES)).numpy()
    assert got.dtype == np.uint8
    for image, size, result in zip(images, SIZES, got, strict=True):
        # Half a grey level, and the 5e-4 of the float blur.
        assert np.abs(result - oracle(image, size)).max() <= 0.5005
    extremes = tf.constant(np.repeat([0, 255], 6 * 6 * 3).reshape(2, 6, 6, 3), tf.uint8)
    np.testing.assert_array_equal(gaussian_blur(extremes, tf.constant([3, 11])), extremes)


def test_inside_a_dataset_it_is_the_same(blurred):
    images, got = blurred
    stream = tf.data.Dataset.from_tensors((images, np.array(SIZES, np.int32))).map(gaussian_blur)
    np.testing.assert_array_equal(next(iter(stream)), got)


def test_sizes_are_drawn_evenly_and_by_seed_alone():
    drawn = draw_kernel_size(5000, tf.constant([3, 4])).numpy()
    assert set(drawn) == set(SIZES)
    # Each of 5 sizes: mean 1000, standard deviation sqrt(5000 * 0.2 * 0.8) = 28.3; five of them are 142.
    assert all(abs((drawn == size).sum() - 1000) <= 142 for size in SIZES)
    np.testing.assert_array_equal(drawn, draw_kernel_size(5000, tf.constant([3, 4])))
    assert (drawn != draw_kernel_size(5000, tf.constant([3, 5])).numpy()).any()


def test_a_wider_range_is_the_float64_blur_and_opencvs():
    """Kernels of up to 31 taps, as fine-tuning and the degraded probes draw them."""
    sizes = [31, 3, 21, 11]
    images = np.random.default_rng(1).uniform(0, 255, [4, 24, 20, 3]).astype(np.float32)
    got = gaussian_blur(tf.constant(images), tf.constant(sizes), 31).numpy()
    for image, size, result in zip(images, sizes, got, strict=True):
        # Two passes of 31 products of at most 255, each rounded to 24 bits: 2 * 32 * 255 * 2^-24 = 9.8e-4.
        np.testing.assert_allclose(result, oracle(image, size), rtol=0, atol=1e-3)
        expected = cv2.GaussianBlur(image, (size, size), sigma_of(size), borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(result, expected, rtol=0, atol=2e-3)
    drawn = draw_kernel_size(2000, tf.constant([3, 4]), 13, 31).numpy()
    assert set(drawn) == set(range(13, 32, 2))
