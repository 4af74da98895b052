"""Which variations happen to which image, and the labels that say so.

The other modules of this package are pure: (images, parameters) -> images. Only this one flips coins.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from urfr_tf.augment import blur as blurring
from urfr_tf.augment import resolution as shrinking
from urfr_tf.augment.occlusion import black_out, draw_rectangle
from urfr_tf.errors import UrfrError

VARIATIONS = ("blur", "occlusion", "pose", "resolution")
# What happens in the scene comes before what happens in the camera: the edge of an occluder is blurred too.
_ORDER = ("pose", "occlusion", "resolution", "blur")
YAW_DEGREES = (40.0, 60.0)
SIZES = {
    "blur": (blurring.SMALLEST, blurring.LARGEST),
    "resolution": (shrinking.SMALLEST, shrinking.LARGEST),
}
"""The paper's ranges: sizes of the kernel, and of the image in pixels, the strongest included."""
_ROUND = 16


def check_probabilities(probabilities: Mapping[str, float]) -> tuple[str, ...]:
    """The names in `probabilities` in the order of their labels.

    Raises:
        UrfrError: an unknown variation, or a probability outside 0 to 1.
    """
    for name, probability in probabilities.items():
        if name not in VARIATIONS:
            raise UrfrError(f"expected a variation of {', '.join(VARIATIONS)}, but got {name!r}")
        if not 0.0 <= probability <= 1.0:
            raise UrfrError(f"expected a probability from 0 to 1 for {name}, but got {probability}")
    return tuple(name for name in VARIATIONS if name in probabilities)


def augment(
    images: tf.Tensor,
    seed: tf.Tensor,
    probabilities: Mapping[str, float],
    points: tf.Tensor | None = None,
    ready: tuple[str, ...] = (),
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies each variation to each image independently with its probability (method, section 3).

    The result is a function of the arguments alone: the same seed gives the same images and labels. Bytes
    stay whole gray levels, as a camera would have stored the varied image; the batch is a quarter of the size
    until the last step.

    Args:
        images: uint8 or float32 [B, S, S, 3], RGB in 0..255, S known.
        seed: integer pair, int32 or int64 [2].
        probabilities: variation -> probability, of blur, occlusion, pose, resolution.
        points: float32 [B, 10], the five points in pixels of these images, as `pose.turn` takes them;
            needed by pose only.
        ready: variations that the images which `choose` names bear already.
        sizes: smallest and largest size of `blur` and `resolution`; those of `SIZES` where it is silent.

    Returns:
        images float32 [B, S, S, 3] in 0..255, and labels float32 [B, T], 1 where a variation was applied;
        the T columns are those of `check_probabilities`.
    """
    names = check_probabilities(probabilities)
    chosen = choose(tf.shape(images)[0], seed, probabilities)
    draws = dict(zip(VARIATIONS, _seeds(seed)[len(VARIATIONS) :], strict=True))
    if "pose" in names and "pose" not in ready and points is None:
        raise UrfrError("expected the five points of the faces for the variation pose, but got none")
    for name in _ORDER:
        if name in names and name not in ready and probabilities[name] > 0.0:
            recipe = _recipe(name, draws[name], points, {**SIZES, **(sizes or {})})
            images = _apply(recipe, images, chosen[name])
    labels = [tf.cast(chosen[name], tf.float32) for name in names]
    stacked = tf.stack(labels, axis=1) if labels else tf.zeros([tf.shape(images)[0], 0])
    return tf.cast(images, tf.float32), stacked


def choose(
    count: int | tf.Tensor, seed: tf.Tensor, probabilities: Mapping[str, float]
) -> dict[str, tf.Tensor]:
    """Which of `count` images `augment` varies with this seed: variation -> bool [count]."""
    coins = dict(zip(VARIATIONS, _seeds(seed)[: len(VARIATIONS)], strict=True))
    return {
        name: tf.random.stateless_uniform([count], coins[name]) < probability
        for name, probability in probabilities.items()
    }


def _seeds(seed: tf.Tensor) -> list[tf.Tensor]:
    """Two seeds a variation, used or not: switching one on leaves the coins of the others as they were."""
    seeds: list[tf.Tensor] = tf.unstack(tf.random.split(seed, 2 * len(VARIATIONS)))
    return seeds


def _recipe(
    name: str, seed: tf.Tensor, points: tf.Tensor | None, sizes: Mapping[str, tuple[int, int]]
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The variation as a function of some of the images and their indices in the batch."""

    def blur(images: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        drawn = blurring.draw_kernel_size(tf.size(index), seed, *sizes["blur"])
        return blurring.gaussian_blur(images, drawn, sizes["blur"][1])

    def occlusion(images: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        return black_out(images, draw_rectangle(tf.size(index), seed))

    def resolution(images: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        drawn = shrinking.draw_size(tf.size(index), seed, images.shape[1], *sizes["resolution"])
        return shrinking.lower_resolution(images, drawn)

    def pose(images: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        from urfr_tf.augment.pose import random_turn

        turned = random_turn(tf.cast(images, tf.float32), tf.gather(points, index), seed, *YAW_DEGREES)
        return turned if images.dtype == tf.float32 else tf.saturate_cast(turned + 0.5, images.dtype)

    return {"blur": blur, "occlusion": occlusion, "resolution": resolution, "pose": pose}[name]


def _apply(
    recipe: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], images: tf.Tensor, chosen: tf.Tensor
) -> tf.Tensor:
    """Runs `recipe`, which keeps the type, on the chosen images only; puts its results in their places."""
    index = tf.where(chosen)[:, 0]
    count = tf.size(index)
    # The recipes are compiled for each size they meet: few sizes, few compilations. None of them is 0.
    rounded = (tf.maximum(count, 1) + _ROUND - 1) // _ROUND * _ROUND
    padded = tf.pad(index, [[0, rounded - count]])
    changed = recipe(tf.gather(images, padded), padded)[:count]
    return tf.tensor_scatter_nd_update(images, index[:, None], changed)
