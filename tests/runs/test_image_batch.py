"""What a model may be called with. Wrong pixels are refused by a sentence that says what to do."""

import cv2
import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.export.client import Client, Server
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.image_batch import check_image_batch

SIZE = 16
PIXELS = np.random.default_rng(0).integers(0, 256, [3, SIZE, SIZE, 3], np.uint8)
PIXELS[:, 0, :2] = [[0], [255]]  # every image has the whole range


def sentence(images):
    with pytest.raises(UrfrError) as error:
        check_image_batch(images, SIZE)
    return str(error.value)


@pytest.mark.parametrize(
    "images",
    [
        PIXELS,
        PIXELS * 0,
        PIXELS.astype(np.float16),
        PIXELS.astype(np.float64) * 0.999,
        PIXELS.astype(np.float32) + np.float32(0.2),  # 255.2 rounds to 255
        np.float32([PIXELS[0], PIXELS[1] * 0, PIXELS[2]]),  # a black frame of a video
        np.zeros(PIXELS.shape, np.float32),  # what a service warms up with
        PIXELS[:0].astype(np.float32),
        [image.astype(np.float32) for image in PIXELS],
        np.asfortranarray(PIXELS.astype(np.float32))[:, ::-1],
    ],
)
def test_pixels_pass_unchanged(images):
    np.testing.assert_array_equal(check_image_batch(images, SIZE), np.asarray(images))


@pytest.mark.parametrize(
    ("images", "found", "advice"),
    [
        (PIXELS / 255, "from 0 to 1;", "multiply pixels in 0..1 by 255"),
        (PIXELS / 255 * 1.05, "from 0 to 1.05;", "multiply pixels in 0..1 by 255"),
        (PIXELS / 127.5 - 1, "from -1 to 1;", "(x + 1) * 127.5"),
        ((PIXELS - 127.5) / 128, "from -0.996094 to 0.996094;", "(x + 1) * 127.5"),
        # (0 / 255 - 0.5) / 0.25 = -2
        ((PIXELS / 255 - 0.5) / 0.25, "from -2 to 2;", "normalizes pixels itself"),
        (PIXELS - 127.5, "from -127.5 to 127.5;", "normalizes pixels itself"),
        (PIXELS * 257.0, "from 0 to 65535;", "16 bits by 257"),
        (PIXELS * (4095 / 255), "from 0 to 4095;", "12 bits by 16.0588"),
        (PIXELS * 1.1 - 12, "from -12 to 268.5;", "images.clip(0, 255)"),
        (PIXELS * 1e9, "2.55e+11;", "normalizes pixels itself"),
        (np.float32([PIXELS[0], PIXELS[1] / 255]), "image 1 of 2", "multiply"),
        (np.float32([PIXELS[0], PIXELS[1] / 255 * 0, PIXELS[2] / 255]), "image 2 of 3", "multiply"),
    ],
)
def test_another_range_is_named(images, found, advice):
    words = sentence(images)
    assert words.startswith("expected RGB pixels in 0..255") and found in words and advice in words


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(value):
    images = PIXELS.astype(np.float32)
    images[2, 3, 4, 1] = value
    assert "image 2 of 3 has NaN or infinity" in sentence(images)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (PIXELS > 5, "got bool"),
        (PIXELS * 1j, "got complex128"),
        (PIXELS.astype(object), "got objects"),
        (PIXELS.astype(np.uint16) * 257, "uint16 from 0 to 65535; divide pixels of 16 bits by 257"),
        (PIXELS.astype(np.int64), "int64 from 0 to 255; convert them with images.astype(numpy.uint8)"),
        (PIXELS.astype(np.int16) - 128, "int16 from -128 to 127; the model normalizes"),
        (PIXELS.transpose(0, 3, 1, 2), "images.transpose(0, 2, 3, 1)"),
        (PIXELS[0], "image[None]"),
        (PIXELS[0].transpose(2, 0, 1), "image.transpose(1, 2, 0)[None]"),
        (PIXELS[..., [0, 1, 2, 2]], "leave out the alpha channel"),
        (PIXELS[..., :1], "repeat the gray channel"),
        (PIXELS[:, 1:], f"at least {SIZE}, but got shape [3, 15, 16, 3]"),
        (PIXELS[None], "got shape [1, 3, 16, 16, 3]"),
        ([PIXELS[0], PIXELS[1][:9]], "several shapes"),
        (None, "got objects"),
        ("a.jpg", "got shape []"),
    ],
)
def test_other_shapes_and_types(images, words):
    assert words in sentence(images)


@pytest.mark.parametrize("kind", ["run", "saved_model", "tflite", "server"])
def test_no_model_computes_from_wrong_pixels(kind):
    """Every loader makes an Embedder; its network is not reached."""
    model = Embedder("m", kind, SIZE, 1, 3, "0" * 64, compute=pytest.fail)
    for embed in (model, model.embed_with_norm):
        with pytest.raises(UrfrError, match="expected RGB pixels in 0..255"):
            embed(PIXELS / 255)


def test_a_server_gets_rounded_pixels(monkeypatch):
    """2.4 -> 2, 2.6 -> 3 and 255.4 -> 255: uint8 by rounding, not by cutting."""
    client, sent = Client(Server("localhost:1", rest=True)), []
    monkeypatch.setattr(client, "predict", lambda signature, inputs: sent.append(inputs["image_bytes"]))
    image = np.full([1, 2, 2, 3], 100.0)
    image[0, 0] = [[2.4, 2.6, 255.4], [7.0, 8.0, 9.0]]
    client.embed_crops(image)
    seen = cv2.imdecode(np.frombuffer(sent[0][0], np.uint8), cv2.IMREAD_COLOR)[0, 0, ::-1]
    assert seen.tolist() == [2, 3, 255]
    with pytest.raises(UrfrError, match="to 1; multiply"):
        client.embed_crops(image / image.max())
