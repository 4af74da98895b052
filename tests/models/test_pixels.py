"""Every network's first layer: which pixel it sees as 0."""

import dataclasses

import numpy as np
import pytest

from urfr_tf.config.setting import setting_of
from urfr_tf.config.tree import ModelConfig
from urfr_tf.keras2 import keras
from urfr_tf.models.pixels import ZERO_PIXELS, normalize_pixels


def first_layer(zero_pixel):
    image = keras.Input([4, 4, 3])
    return keras.Model(image, normalize_pixels(image, zero_pixel)).get_layer("normalise")


def test_the_default_is_the_layer_of_earlier_versions():
    config = first_layer(ModelConfig().zero_pixel).get_config()
    assert (config["scale"], config["offset"]) == (0.0078125, -0.99609375)


def test_the_configuration_offers_each():
    field = next(field for field in dataclasses.fields(ModelConfig) if field.name == "zero_pixel")
    assert setting_of(field).choices == tuple(ZERO_PIXELS)


@pytest.mark.parametrize("zero_pixel", ZERO_PIXELS)
def test_zero_is_where_it_says(zero_pixel):
    layer, zero = first_layer(zero_pixel), np.float32(ZERO_PIXELS[zero_pixel])
    np.testing.assert_allclose(layer(np.stack([zero, zero + 128])), [[0, 0, 0], [1, 1, 1]], atol=1e-7)
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(again(zero[None]), layer(zero[None]))
