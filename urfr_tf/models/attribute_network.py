"""theta_A, the four-layer network that mines further variations (method, section 5)."""

from urfr_tf import keys
from urfr_tf.keras2 import keras
from urfr_tf.models.pixels import normalize_pixels

CHANNELS = (64, 128, 256, 512)  # supplement, section B
FEATURES = "features"


def attribute_network(
    attributes: int, input_size: int, zero_pixel: str = "gray", *, synchronized: bool = False
) -> keras.Model:
    """Images -> one logit an attribute.

    Four 3 x 3 convolutions of 64, 128, 256 and 512 channels (supplement, section B), each of stride 2
    with a batch norm and PReLU, global average pooling, one linear layer.

    Args:
        attributes: A, the number of attributes.
        input_size: S.
        zero_pixel: see `normalize_pixels`.
        synchronized: batch norm statistics over all replicas.

    Returns:
        A functional model: {image: float32 [B, S, S, 3], RGB, 0..255} ->
        {attribute: logits float32 [B, A], features: float32 [B, 512]}.
    """
    image = keras.Input([input_size, input_size, 3], name=keys.IMAGE, dtype="float32")
    x = normalize_pixels(image, zero_pixel)
    for number, filters in enumerate(CHANNELS, start=1):
        x = keras.layers.Conv2D(
            filters,
            3,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)
        x = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, synchronized=synchronized, name=f"bn{number}"
        )(x)
        x = keras.layers.PReLU(
            shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.25), name=f"prelu{number}"
        )(x)
    features = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    features = keras.layers.Activation("linear", dtype="float32", name=FEATURES)(features)
    logits = keras.layers.Dense(attributes, dtype="float32", name=keys.ATTRIBUTE)(features)
    return keras.Model(
        {keys.IMAGE: image}, {keys.ATTRIBUTE: logits, FEATURES: features}, name="attribute_network"
    )
