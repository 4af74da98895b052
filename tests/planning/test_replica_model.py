"""The feature maps that a step must keep."""

from urfr_tf.keras2 import keras
from urfr_tf.planning.replica_model import kept_per_image


def test_every_map_that_a_layer_reads_is_counted_once():
    """conv, norm and PReLU in a row on 4 x 4 maps: they read 4 x 4 x (3 + 8 + 8) float32 numbers."""
    image = keras.Input([4, 4, 3])
    x = keras.layers.Conv2D(8, 3, padding="same")(image)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(image, keras.layers.PReLU(shared_axes=[1, 2])(x))
    assert kept_per_image(model) == 4 * 16 * (3 + 8 + 8)
    model.trainable = False
    assert kept_per_image(model) == 0
