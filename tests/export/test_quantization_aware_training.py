"""Quantisation-aware training: int8 comes closer to float, the heads stay, and the float network is not
changed.
"""

import numpy as np
import pytest

from urfr_tf import keys, load
from urfr_tf.errors import UrfrError
from urfr_tf.export.export_run import export_run
from urfr_tf.export.fold_batch_norm import fold_batch_norm
from urfr_tf.export.images import make_smooth_images
from urfr_tf.export.parity import measure_parity
from urfr_tf.export.quantization_aware_training import train_for_int8
from urfr_tf.export.request import ExportRequest
from urfr_tf.export.tflite import convert_to_tflite
from urfr_tf.keras2 import keras

OUTLIER = 30.0


@pytest.fixture(scope="module")
def uneven(make_network):
    """The tiny network with one channel of its first map 30 times as large, which the second convolution
    undoes.

    The function is the same, as PReLU(30 y) = 30 PReLU(y), but in int8 the other channels have 8 of 255 steps
    left.
    """
    network = make_network()
    norms, convolutions = (
        [layer for layer in network.layers if isinstance(layer, kind)]
        for kind in (keras.layers.BatchNormalization, keras.layers.Conv2D)
    )
    for weight in (norms[0].gamma, norms[0].beta):
        weight.assign(weight.numpy() * np.r_[OUTLIER, np.ones(weight.shape[0] - 1)])
    kernel = convolutions[1].kernel.numpy()
    kernel[:, :, 0] /= OUTLIER
    convolutions[1].kernel.assign(kernel)
    return network


@pytest.fixture(scope="module")
def adapted(uneven):
    """It after 0 and after 200 steps on made-up images."""
    return {steps: train_for_int8(uneven, make_smooth_images(32, 64), steps, rate=1e-3) for steps in (0, 200)}


def test_no_step_changes_nothing(uneven, adapted):
    for found, expected in zip(adapted[0].get_weights(), fold_batch_norm(uneven).get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_backbone_learned_and_the_heads_did_not(uneven, adapted):
    before, after = fold_batch_norm(uneven), adapted[200]
    for layer in before.layers:
        moved = any(
            not np.array_equal(a, b)
            for a, b in zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
        )
        assert moved == isinstance(layer, keras.layers.Conv2D | keras.layers.PReLU), layer.name


def test_int8_comes_closer(uneven, adapted, tmp_path):
    images = make_smooth_images(32, 128)[64:]
    expected = {name: value.numpy() for name, value in uneven({keys.IMAGE: images}).items()}
    errors = []
    for steps in (0, 200):
        path = tmp_path / f"{steps}.tflite"
        path.write_bytes(convert_to_tflite(adapted[steps], {}, "int8", make_smooth_images(32, 64)))
        errors.append(1 - measure_parity(expected, load(path)(images))["median_cosine"])
    # 0.0147 and 0.0096 were measured; other processors add in another order.
    assert errors[1] < 0.9 * errors[0]


def test_only_int8_is_trained_for(tmp_path):
    with pytest.raises(UrfrError, match="--quantization-aware with --quantize int8, but got it with dynamic"):
        export_run(ExportRequest(tmp_path, tmp_path, "tflite", quantize="dynamic", quantization_aware=5))
