"""The IR backbones: layers counted from the published depths, sizes, strides."""

import pytest

from urfr_tf.keras2 import keras
from urfr_tf.models.ir import BLOCKS, ir_network


def network(depth, size, width=0.125):
    image = keras.Input([size, size, 3])
    return keras.Model(image, ir_network(image, depth, width=width))


@pytest.mark.parametrize("depth", BLOCKS)
def test_convolutions(depth):
    """One at the start, two a block, one 1 x 1 at the start of each of the four stages."""
    convolutions = [layer for layer in network(depth, 32).layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 1 + 2 * sum(BLOCKS[depth]) + 4
    kernels = [layer.kernel_size for layer in convolutions]
    assert kernels.count((1, 1)) == 4


def test_ir100_has_the_published_depth():
    """3 + 13 + 30 + 3 = 49 blocks; with the first convolution and the embedding: 100 weighted layers."""
    assert BLOCKS["ir100"] == (3, 13, 30, 3)
    assert 1 + 2 * sum(BLOCKS["ir100"]) + 1 == 100


@pytest.mark.parametrize(("size", "side"), [(112, 7), (100, 7), (64, 4), (32, 2)])
def test_feature_map(size, side):
    """Four strides of 2, each rounding up: 100 -> 50 -> 25 -> 13 -> 7."""
    assert network("ir10", size).output_shape == (None, side, side, 64)


def test_channels_at_full_width():
    """Parameters of IR-18's convolutions by hand: 3x3 ones from 3-64, 64-64 (x4), 64-128, 128-128 (x3) ..."""
    total = sum(
        layer.count_params()
        for layer in network("ir18", 32, 1.0).layers
        if isinstance(layer, keras.layers.Conv2D)
    )
    pairs = [(3, 64), *[(64, 64)] * 4, (64, 128), *[(128, 128)] * 3]
    pairs += [(128, 256), *[(256, 256)] * 3, (256, 512), *[(512, 512)] * 3]
    shortcuts = [(64, 64), (64, 128), (128, 256), (256, 512)]
    assert total == sum(9 * a * b for a, b in pairs) + sum(a * b for a, b in shortcuts)
