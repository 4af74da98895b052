"""What networks of other projects make of pixels: names, formulas, and who decides."""

import pytest

from urfr_tf.commands import import_weights as command
from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.pixels import PIXELS, Pixels, choose_pixels
from urfr_tf.models.pixels import ZERO_PIXELS
from urfr_tf.runs.import_weights import find_zero_pixel

MXNET = Pixels((127.5,) * 3, (1 / 128,) * 3)


def test_the_command_lists_the_same_names():
    assert tuple(PIXELS) == command.PIXELS


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (MXNET, "centered"),
        (Pixels((0.0,) * 3, (1 / 256,) * 3), "0..1"),
        (Pixels((127.5,) * 3, (1 / 64,) * 3), "(x - 127.5) * 0.015625"),
        (Pixels((103.53, 116.28, 123.675), (0.017,) * 3), "(x - (103.53, 116.28, 123.675)) * 0.017"),
    ],
)
def test_a_convention_has_a_name_and_others_a_formula(pixels, text):
    assert str(pixels) == text


@pytest.mark.parametrize("said", [None, PIXELS["centered"]])
def test_the_file_decides_where_it_says_it(said):
    assert choose_pixels(MXNET, said, None) is MXNET


@pytest.mark.parametrize("name", ["0..1", "0..255", "imagenet"])
def test_the_user_cannot_contradict_the_file(name):
    with pytest.raises(UrfrError, match=f"which is centered, but --pixels {name} was given; leave it out"):
        choose_pixels(MXNET, PIXELS[name], None)


def test_each_convention_has_a_zero_of_ours():
    names = [find_zero_pixel(pixels, "a file") for pixels in PIXELS.values()]
    assert names == ["gray", "black", "imagenet", "black"]
    assert set(names) == set(ZERO_PIXELS)


@pytest.mark.parametrize("zero", [(128.0,) * 3, (103.53, 116.28, 123.675), (float("nan"),) * 3, (0.1,) * 3])
def test_another_zero_is_refused(zero):
    """No kernel makes up for what pads the border."""
    with pytest.raises(UrfrError, match=r"that sees 127\.5, black or .* but a file computes"):
        find_zero_pixel(Pixels(zero, (1.0,) * 3), "a file")
