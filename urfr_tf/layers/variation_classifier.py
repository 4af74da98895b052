"""Variation masks and the linear classifier C_v that reads masked embeddings (method, section 4)."""

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from urfr_tf.keras2 import keras


def variation_masks(variations: int, groups: int, seed: int) -> npt.NDArray[np.float32]:
    """T fixed random masks over K sub-embeddings, pairwise different, each keeping K/2 of them.

    Args:
        variations: T >= 0.
        groups: K, even where T > 0.
        seed: the same seed gives the same masks.

    Returns:
        float32 [T, K] of 0 and 1.

    Raises:
        ValueError: K is odd, or K has fewer than T different halves.
    """
    if variations == 0:
        return np.zeros([0, groups], np.float32)
    halves = math.comb(groups, groups // 2) if groups % 2 == 0 else 0
    if halves < variations:
        raise ValueError(
            f"expected at least {variations} different half masks, but {groups} groups give {halves}"
        )
    random = np.random.default_rng(seed)
    masks: list[npt.NDArray[np.float32]] = []
    while len(masks) < variations:
        mask = np.zeros(groups, np.float32)
        mask[random.permutation(groups)[: groups // 2]] = 1
        if not any(np.array_equal(mask, other) for other in masks):
            masks.append(mask)
    return np.stack(masks)


@keras.saving.register_keras_serializable(package="urfr_tf")
class VariationClassifier(keras.layers.Layer):
    """Embedding [B, K, d] -> logits float32 [B, T, T]; [:, t, u] is variation u under mask t.

    One linear classifier D -> T for all masks; the masks are a fixed weight, so they are saved with
    the model. The masked products are summed from per-group products: T times less work than
    masking first.

    Args:
        variations: T >= 1.
        groups: K.
        mask_seed: seed of the masks.
    """

    def __init__(self, variations: int, groups: int, mask_seed: int = 0, **kwargs: object) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.variations = variations
        self.groups = groups
        self.mask_seed = mask_seed

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates `kernel` [K, d, T], `bias` [T] and the fixed `masks` [T, K]."""
        _, groups, dim = tf.TensorShape(input_shape)
        masks = variation_masks(self.variations, self.groups, self.mask_seed)
        self.kernel = self.add_weight(
            name="kernel",
            shape=[groups, dim, self.variations],
            initializer=keras.initializers.RandomNormal(stddev=0.01),
        )
        self.bias = self.add_weight(name="bias", shape=[self.variations], initializer="zeros")
        self.masks = self.add_weight(
            name="masks",
            shape=masks.shape,
            initializer=lambda shape, dtype=None, **_: tf.constant(masks, dtype),
            trainable=False,
        )
        super().build(input_shape)

    def call(self, embedding: tf.Tensor, frozen: bool = False) -> tf.Tensor:
        """[B, K, d] -> [B, T, T]; with `frozen` no gradient reaches the classifier."""
        kernel, bias = self.kernel, self.bias
        if frozen:
            kernel, bias = tf.stop_gradient(kernel), tf.stop_gradient(bias)
        by_group = tf.einsum("bkd,kdu->bku", tf.cast(embedding, tf.float32), kernel)
        return tf.einsum("tk,bku->btu", self.masks, by_group) + bias

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "variations": self.variations,
            "groups": self.groups,
            "mask_seed": self.mask_seed,
        }
