"""Gives all channels between a convolution and the next depthwise convolution the same range, exactly.

An int8 tensor has one scale: a channel that reaches far takes the resolution from all others. But a depthwise
convolution treats channels apart, and PReLU(y / s) = PReLU(y) / s for s > 0, so the convolution before can
give y / s and the depthwise kernel take s back (Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019, section 4.1, with measured ranges in place of those of the
weights).
"""

import numpy as np
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.export.images import Images
from urfr_tf.keras2 import keras

EQUALIZED_ON = 32
"""Images that the reach of channels is measured on."""
LEAST = 1e-3
"""Least share of the largest channel's reach that a channel is enlarged from: dead ones stay small."""


def equalize_channels(folded: keras.Model, images: Images) -> int:
    """Changes the weights of a folded network in place; its function stays, up to rounding.

    Args:
        folded: what `fold_batch_norm` gives.
        images: the reach of the channels is measured on them.

    Returns:
        How many convolutions were equalized.
    """
    pairs = find_depthwise_pairs(folded)
    if not pairs:
        return 0
    maps = keras.Model(folded.input, {before.name: before.output for before, _ in pairs})
    reach: dict[str, NDArray[np.float32]] = {}
    for image in images:
        for name, value in maps({keys.IMAGE: image[None]}).items():
            here = np.abs(value.numpy()).max(axis=(0, 1, 2))
            reach[name] = np.maximum(reach.get(name, 0.0), here)
    for before, after in pairs:
        share = np.maximum(reach[before.name] / max(float(reach[before.name].max()), 1e-30), LEAST)
        kernel, bias = before.get_weights()
        before.set_weights([kernel / share, bias / share])
        kernel, *rest = after.get_weights()
        after.set_weights([kernel * share[:, None], *rest])
    return len(pairs)


def find_depthwise_pairs(network: keras.Model) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """Finds each convolution with a bias that only a depthwise one reads, directly or through PReLU and
    padding.

    Returns:
        The convolution and the depthwise convolution of each pair.
    """
    readers: dict[int, list[keras.layers.Layer]] = {}
    for layer in network.layers:
        source = layer.input
        for tensor in source if isinstance(source, list) else [source]:
            readers.setdefault(id(tensor), []).append(layer)
    pairs = []
    for layer in network.layers:
        if type(layer) is not keras.layers.Conv2D or not layer.use_bias:
            continue
        after = layer
        while len(readers.get(id(after.output), [])) == 1:
            after = readers[id(after.output)][0]
            if not isinstance(after, keras.layers.PReLU | keras.layers.ZeroPadding2D):
                break
        if type(after) is keras.layers.DepthwiseConv2D:
            pairs.append((layer, after))
    return pairs
