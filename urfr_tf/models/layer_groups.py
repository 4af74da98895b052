"""Groups of layers of a training network: which are frozen, and at which rate each layer learns."""

from urfr_tf import keys
from urfr_tf.keras2 import keras

_NAMED = (keys.EMBEDDING, keys.CONFIDENCE, keys.LOGITS)


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers with weights below the heads, in the order of the graph."""
    return [
        layer
        for layer in model.layers
        if layer.weights and layer.name not in _NAMED and layer.name != keys.VARIATION_CLASSIFIER
    ]


def freeze(model: keras.Model, *, backbone: bool, norms: str) -> None:
    """Sets what learns; a frozen batch norm also normalizes with its stored statistics.

    Args:
        model: a network with the layers of keys.py.
        backbone: whether everything below the heads is frozen.
        norms: batch norms that stay frozen in any case: `none`, those of the `backbone`, or `all`.
    """
    for layer in backbone_layers(model):
        frozen_norm = norms != "none" and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not (backbone or frozen_norm)
    norm = getattr(model.get_layer(keys.EMBEDDING), "norm", None)
    if norm is not None:
        norm.trainable = norms != "all"


def layer_rates(
    model: keras.Model,
    *,
    backbone: float = 1.0,
    backbone_first: float | None = None,
    embedding: float = 1.0,
    prototypes: float = 1.0,
) -> dict[str, float]:
    """The factor on each layer's learning rate, where it is not 1.

    Args:
        model: a network with the layers of keys.py.
        backbone: factor of the backbone's last layer.
        backbone_first: factor of its first layer, None for the same; those between lie on a geometric line.
        embedding: factor of the embedding head.
        prototypes: factor of the prototypes.

    Returns:
        layer's name -> factor.
    """
    first = backbone if backbone_first is None else backbone_first
    layers = backbone_layers(model)
    rates = {keys.EMBEDDING: embedding, keys.LOGITS: prototypes}
    for index, layer in enumerate(layers):
        place = index / max(len(layers) - 1, 1)
        rates[layer.name] = first ** (1 - place) * backbone**place
    return {name: rate for name, rate in rates.items() if rate != 1.0}
