"""The signatures' mathematics against float64 NumPy, and what they make of bytes from strangers."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import urfr_tf.metrics
from urfr_tf.export.signatures import (
    LARGEST_SIDE,
    cosine_score,
    crop_center,
    decode_crop,
    fuse_templates,
    likelihood_score,
)


def draw(count, groups, dim, seed=0):
    """Embeddings [N, K d] as serving gives them, unit groups [N, K, d], variances [N, K]."""
    random = np.random.default_rng(seed)
    unit = random.normal(size=[count, groups, dim])
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    variance = random.uniform(0.004, 0.4, [count, groups])
    return (unit / groups**0.5).reshape(count, -1).astype(np.float32), unit, variance.astype(np.float32)


def test_likelihood_is_the_formula():
    (a, fa, va), (b, fb, vb) = draw(9, 4, 8), draw(9, 4, 8, seed=1)
    total = va.astype(np.float64) + vb
    # -1/2 sum_k [ |f_a,k - f_b,k|^2 / (v_a + v_b) + (D/K) log(v_a + v_b) ], D/K = 8
    terms = np.sum((fa - fb) ** 2, -1) / total + 8 * np.log(total)
    np.testing.assert_allclose(likelihood_score(a, va, b, vb), -0.5 * terms.sum(-1), rtol=2e-5)


def test_scores_agree_with_metrics():
    (a, fa, va), (b, fb, vb) = draw(9, 4, 8), draw(9, 4, 8, seed=1)
    np.testing.assert_allclose(
        likelihood_score(a, va, b, vb), urfr_tf.metrics.likelihood_score(fa, va, fb, vb), rtol=2e-5
    )
    np.testing.assert_allclose(cosine_score(a, b), urfr_tf.metrics.cosine_score(fa, fb), atol=1e-6)
    # cosine of the whole = mean over the K groups of the groups' cosines
    np.testing.assert_allclose(cosine_score(a, b), np.sum(fa * fb, -1).mean(-1), atol=1e-6)


def test_fuse_is_the_formula_and_agrees_with_metrics():
    embedding, unit, variance = draw(7, 4, 8)
    template = np.array([9, -2, 9, 4, -2, 9, 4], np.int32)
    fused, least = fuse_templates(tf.constant(embedding), tf.constant(variance), tf.constant(template))
    for row, number in enumerate([-2, 4, 9]):
        rows = template == number
        total = np.sum(unit[rows] / variance[rows][..., None].astype(np.float64), axis=0)
        total /= np.linalg.norm(total, axis=-1, keepdims=True)
        np.testing.assert_allclose(fused[row], (total / 4**0.5).ravel(), atol=2e-6)
        np.testing.assert_array_equal(least[row], variance[rows].min(axis=0))
    of_metrics, _ = urfr_tf.metrics.fuse(unit, variance, template)
    np.testing.assert_allclose(fused, (of_metrics / 2).reshape(3, -1), atol=2e-6)


def test_fuse_of_powers_is_the_sharper_fusion():
    """As docs/guides/evaluate.md has it: variances over 1 / 64, to the power, in float32, up to the
    confidences' bounds.
    """
    embedding, unit, variance = draw(40, 4, 8)
    variance[::2] = np.random.default_rng(1).choice([1.0, 1 / 8000], variance[::2].shape)
    template = np.arange(40, dtype=np.int32) % 5
    power = tf.constant(64 * variance) ** 6
    assert power.dtype == tf.float32
    fused, _ = fuse_templates(tf.constant(embedding), power, tf.constant(template))
    expected, _ = urfr_tf.metrics.fuse(unit, variance, template, sharpness=6.0)
    np.testing.assert_allclose(fused, (expected / 2).reshape(5, -1), atol=2e-6)


def test_fuse_does_not_depend_on_the_order():
    embedding, _, variance = draw(30, 4, 8)
    template = np.random.default_rng(3).integers(0, 5, 30).astype(np.int32)
    order = np.random.default_rng(4).permutation(30)
    one = fuse_templates(tf.constant(embedding), tf.constant(variance), tf.constant(template))
    two = fuse_templates(
        tf.constant(embedding[order]), tf.constant(variance[order]), tf.constant(template[order])
    )
    np.testing.assert_allclose(one[0], two[0], atol=1e-6)
    np.testing.assert_array_equal(one[1], two[1])


def test_one_image_is_its_own_template():
    embedding, _, variance = draw(1, 4, 8)
    fused, least = fuse_templates(tf.constant(embedding), tf.constant(variance), tf.constant([5]))
    np.testing.assert_allclose(fused, embedding, atol=1e-7)
    np.testing.assert_array_equal(least, variance)


def test_centre_crop_is_that_of_the_loader():
    from urfr_tf.runs.embedder import center_crop as of_loader

    images = np.random.default_rng(0).integers(0, 256, [2, 19, 22, 3], np.uint8)
    np.testing.assert_array_equal(crop_center(tf.constant(images), 16), of_loader(images, 16))
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 20 x 20"):
        crop_center(tf.constant(images), 20)


@pytest.fixture(scope="module")
def picture():
    small = np.random.default_rng(0).uniform(0, 255, [5, 5, 3])
    return np.clip(cv2.resize(small, (24, 20), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def decode():
    """decode_crop in a graph, as it runs in a server: errors come from its operators."""
    function = tf.function(lambda data: decode_crop(data, 16), input_signature=[tf.TensorSpec([], tf.string)])
    return lambda data: function(data).numpy()


def saved(image, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()


def test_png_comes_out_as_it_went_in(decode, picture):
    # (20 - 16) // 2 = 2 rows above, (24 - 16) // 2 = 4 columns on the left
    np.testing.assert_array_equal(decode(saved(picture, "PNG")), picture[2:18, 4:20])


def test_jpeg_decodes_as_opencv_does(decode, picture):
    data = saved(picture, "JPEG", quality=95, subsampling=0)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decode(data) - bgr[2:18, 4:20, ::-1]).max() <= 1


def test_grey_and_alpha(decode, picture):
    grey = picture[:, :, 0]
    np.testing.assert_array_equal(decode(saved(grey, "PNG")), np.repeat(grey[2:18, 4:20, None], 3, 2))
    alpha = np.dstack([picture, np.full(grey.shape, 7, np.uint8)])
    np.testing.assert_array_equal(decode(saved(alpha, "PNG")), picture[2:18, 4:20])


def test_16_bits_become_8(decode, picture):
    _, data = cv2.imencode(".png", picture[:, :, ::-1].astype(np.uint16) * 257)
    assert np.abs(decode(data.tobytes()) - picture[2:18, 4:20]).max() <= 1


def test_cmyk_is_converted(decode, picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).convert("CMYK").save(buffer, "JPEG", quality=95, subsampling=0)
    assert np.abs(decode(buffer.getvalue()) - picture[2:18, 4:20]).mean() < 8


def test_rotation_in_exif_is_ignored(decode, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(picture, "JPEG", quality=95, subsampling=0, exif=exif)
    np.testing.assert_array_equal(decode(turned), decode(saved(picture, "JPEG", quality=95, subsampling=0)))


def test_first_picture_of_an_animated_png(decode, picture):
    frames = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(buffer.getvalue()), picture[2:18, 4:20])


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def jpeg_header(width, height):
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 17, 0, 2, 17, 0, 3, 17, 0])
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])
    return (
        b"\xff\xd8\xff\xc0"
        + struct.pack(">H", len(frame) + 2)
        + frame
        + b"\xff\xda"
        + struct.pack(">H", len(scan) + 2)
        + scan
        + b"\xff\xd9"
    )


def test_bytes_that_are_no_crop_are_a_typed_error(decode, picture):
    png, jpeg = saved(picture, "PNG"), saved(picture, "JPEG")
    bad = {
        "empty": b"",
        "text": b"not an image",
        "gif": saved(picture, "GIF"),
        "bmp": saved(picture, "BMP"),
        "png cut in its header": png[:20],
        "png cut": png[: len(png) // 2],
        "png without its end": png[:-30],
        "jpeg cut in its header": jpeg[:30],
        "jpeg cut": jpeg[: len(jpeg) // 2],
        "jpeg marker alone": b"\xff\xd8\xff",
        "too small": saved(picture[:12], "PNG"),
        "no pixels": png_header(0, 16) + bytes(40),
    }
    for what, data in bad.items():
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(data)
            pytest.fail(f"{what} was decoded")
    # The graph still works afterwards.
    np.testing.assert_array_equal(decode(png), picture[2:18, 4:20])


@pytest.mark.parametrize("header", [png_header, jpeg_header])
@pytest.mark.parametrize("sides", [(LARGEST_SIDE + 1, 16), (16, 65000), (65000, 65000)])
def test_huge_images_are_refused_on_their_header(decode, header, sides):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"sides of 1 to {LARGEST_SIDE} pixels"):
        decode(header(*sides) + bytes(64))
