"""The 1 x 1 convolution and its gradient against float64 and Keras's own layer."""

import numpy as np
import pytest
import tensorflow as tf

from urfr_tf.keras2 import keras
from urfr_tf.layers.cpu.convolution import convolve, pointwise


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("bfloat16", 1e-2)])
@pytest.mark.parametrize("batch", [1, 12, 16])  # 1, 4 and 8 products
def test_values_and_gradients_against_float64(dtype, tolerance, batch):
    random = np.random.default_rng(0)
    x = tf.cast(random.normal(size=[batch, 3, 5, 6]), dtype)
    kernel, upstream = (tf.cast(random.normal(size=s), dtype) for s in ([1, 1, 6, 7], [batch, 3, 5, 7]))
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = pointwise(x, kernel)
    by_x, by_kernel = tape.gradient(y, [x, kernel], upstream)
    wide, k, up = (tf.cast(t, tf.float64).numpy() for t in (x, kernel, upstream))
    assert (y.dtype, by_x.dtype, by_kernel.dtype) == (x.dtype,) * 3
    for result, wanted in (
        (y, np.einsum("bhwc,cf->bhwf", wide, k[0, 0])),
        (by_x, np.einsum("bhwf,cf->bhwc", up, k[0, 0])),
        (by_kernel, np.einsum("bhwc,bhwf->cf", wide, up)[None, None]),
    ):
        assert result.shape == wanted.shape
        np.testing.assert_allclose(
            tf.cast(result, tf.float64), wanted, atol=tolerance * np.abs(wanted).max(), rtol=tolerance
        )


@pytest.mark.parametrize(
    "words",
    [
        {"kernel_size": 1, "activation": "relu"},
        {"kernel_size": 1, "strides": 2, "use_bias": False},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 1, "groups": 2},
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_as_keras_own_layer(words, dtype):
    random = np.random.default_rng(1)
    x, outputs, gradients = tf.constant(random.normal(size=[8, 6, 6, 4]), tf.float32), [], []
    weights = [
        random.normal(size=s) for s in ([words["kernel_size"]] * 2 + [4 // words.get("groups", 1), 6], [6])
    ]
    layer = keras.layers.Conv2D(6, dtype=dtype, **words)
    for apply in (convolve, keras.layers.Conv2D.__call__):
        layer.build(x.shape)
        layer.set_weights(weights[: len(layer.weights)])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = apply(layer, x)
            total = tf.reduce_sum(tf.cast(y, tf.float32) ** 2)
        outputs.append(tf.cast(y, tf.float32))
        gradients.append(tape.gradient(total, [x, *layer.trainable_variables]))
    np.testing.assert_allclose(*outputs, rtol=1e-6)
    for one, other in zip(*gradients, strict=True):
        limit = 1e-5 if dtype == "float32" else 1e-2
        np.testing.assert_allclose(one, other, rtol=limit, atol=limit * np.abs(other).max())
