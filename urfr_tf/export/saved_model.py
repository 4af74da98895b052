"""The inference graph as a SavedModel: signatures, card and licence in assets."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from urfr_tf import keys
from urfr_tf.export.signatures import cosine_score, crop_center, decode_crop, fuse_templates, likelihood_score
from urfr_tf.files import write_text
from urfr_tf.keras2 import keras
from urfr_tf.runs.card import CARD_NAME, ModelCard
from urfr_tf.system.plain_paths import plain_path


def write_saved_model(network: keras.Model, folder: Path, card: ModelCard, *, frozen: bool = False) -> None:
    """Writes `network` with its signatures into a new folder.

    The object that `tf.saved_model.load` gives back is also callable on float32 [B, H, W, 3] and has
    `variables`, `trainable_variables` and `regularization_losses` (the reusable SavedModel of
    tensorflow_hub): it can be fine-tuned, with its batch norms in inference mode as they were exported.

    Args:
        network: the inference model: {image [B, S, S, 3]} -> {embedding, confidence, variance}.
        folder: where; must not exist.
        card: what the model says about itself; becomes `assets/urfr.json`.
        frozen: weights are constants of the graph. oneDNN then lays them out once, not at each request;
            TensorFlow keeps a copy in each of several graphs, and there is nothing left to fine-tune.
    """
    servable = build_servable(network, frozen=frozen)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / CARD_NAME
        write_text(path, json.dumps(card, indent=1, sort_keys=True, allow_nan=False) + "\n")
        servable.card = tf.saved_model.Asset(plain_path(path))
        tf.saved_model.save(servable, plain_path(folder), signatures=servable.signature_functions)


def build_servable(network: keras.Model, *, frozen: bool = False) -> tf.train.Checkpoint:
    """Builds an object with the network's variables (none if `frozen`), `__call__`, and the signatures."""
    size = network.input[keys.IMAGE].shape[1]
    groups = network.output[keys.CONFIDENCE].shape[-1]
    dim = network.output[keys.EMBEDDING].shape[-1]

    # One traced body that all signatures call: the network is in the file once.
    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32, keys.IMAGE)]
    )
    def variable_embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = network({keys.IMAGE: image}, training=False)
        return outputs

    embed = _with_constants(variable_embed) if frozen else variable_embed

    def image_spec(dtype: tf.DType) -> tf.TensorSpec:
        return tf.TensorSpec([None, None, None, 3], dtype, keys.IMAGE)

    def specs_of(letter: str) -> list[tf.TensorSpec]:
        return [
            tf.TensorSpec([None, dim], tf.float32, f"embedding_{letter}"),
            tf.TensorSpec([None, groups], tf.float32, f"variance_{letter}"),
        ]

    @tf.function(autograph=False, input_signature=[image_spec(tf.float32)])
    def serving_default(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return embed(crop_center(image, size))

    @tf.function(autograph=False, input_signature=[image_spec(tf.uint8)])
    def serving_uint8(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return embed(tf.cast(crop_center(image, size), tf.float32))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def encoded(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        crop = tf.TensorSpec([size, size, 3], tf.float32)
        return embed(tf.map_fn(lambda one: decode_crop(one, size), image_bytes, fn_output_signature=crop))

    @tf.function(autograph=False, input_signature=[*specs_of("a"), *specs_of("b")])
    def compare(
        embedding_a: tf.Tensor, variance_a: tf.Tensor, embedding_b: tf.Tensor, variance_b: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {
            "cosine": cosine_score(embedding_a, embedding_b),
            "likelihood": likelihood_score(embedding_a, variance_a, embedding_b, variance_b),
        }

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, dim], tf.float32, keys.EMBEDDING),
            tf.TensorSpec([None, groups], tf.float32, keys.VARIANCE),
            tf.TensorSpec([None], tf.int32, "template"),
        ],
    )
    def fuse(embedding: tf.Tensor, variance: tf.Tensor, template: tf.Tensor) -> dict[str, tf.Tensor]:
        fused, least = fuse_templates(embedding, variance, template)
        return {keys.EMBEDDING: fused, keys.VARIANCE: least}

    servable = tf.train.Checkpoint()
    # The variables, not the Keras model: tracking the model would store every layer's call once more.
    servable.variables = [] if frozen else list(network.variables)
    servable.trainable_variables = [] if frozen else list(network.trainable_variables)
    servable.regularization_losses = []
    servable.__call__ = serving_default
    servable.signature_functions = {
        "serving_default": serving_default,
        "serving_uint8": serving_uint8,
        "encoded": encoded,
        "compare": compare,
        "fuse": fuse,
    }
    return servable


def _with_constants(
    function: tf.types.experimental.GenericFunction,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """The traced function with the values of its variables in their place."""
    traced = function.get_concrete_function()
    constant = convert_variables_to_constants_v2(traced)
    return lambda image: tf.nest.pack_sequence_as(
        traced.structured_outputs, tf.nest.flatten(constant(image)), expand_composites=True
    )
