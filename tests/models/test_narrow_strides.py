"""No layer of ours is one whose filter gradient oneDNN computes wrong (docs/lab/onednn_strided_1x1.md)."""

import pytest

from urfr_tf.keras2 import keras
from urfr_tf.models.ir import ir_network
from urfr_tf.models.mobilefacenet import mobilefacenet

NARROWEST = 0.001  # every channel count is rounded up from here


def narrow_strided(model):
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    layers = [one for one in layers if one.kernel_size == (1, 1) and max(one.strides) > 1]
    return [one.name for one in layers if one.input_shape[-1] < 8]


@pytest.mark.parametrize("backbone", ["ir10", "ir18", "mobilefacenet"])
def test_no_strided_1x1_convolution_has_fewer_than_8_channels(backbone):
    inputs = keras.Input([64, 64, 3])
    if backbone == "mobilefacenet":
        outputs = mobilefacenet(inputs, width=NARROWEST)
    else:
        outputs = ir_network(inputs, backbone, width=NARROWEST)
    assert not narrow_strided(keras.Model(inputs, outputs))


def test_such_a_layer_would_be_found():
    model = keras.Sequential([keras.layers.Conv2D(8, 1, 2, input_shape=[8, 8, 4])])
    assert narrow_strided(model) == [model.layers[0].name]
