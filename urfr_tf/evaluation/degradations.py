"""Degraded probes: each variation at a strength, for robustness curves (the paper's synthetic sets).

Besides the variations that training augments with there are some that it never sees. What they do to accuracy
tells whether a representation is universal, or only used to its augmentations.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Array, Float32s, Ints

if TYPE_CHECKING:
    import tensorflow as tf

Generators = list[np.random.Generator]

STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur": (3, 5, 7, 9, 11),
    "occlusion": (1, 2, 3, 4, 5),
    "pose": (15, 30, 45, 60),
    "resolution": (64, 48, 32, 24, 16),
}
"""Rising strengths: kernel size in pixels; side of the black square in sevenths of the crop; yaw in
degrees; pixels that a side is shrunk to."""

UNSEEN: dict[str, tuple[float, ...]] = {
    "gamma": (0.7, 1.5, 2.5, 4),
    "jpeg": (50, 20, 10, 5),
    "noise": (10, 20, 40, 60),
    "thumbnail": (64, 48, 32, 24, 16),
}
"""In no training: exponent of a pixel's value; quality of the JPEG; standard deviation in gray levels; pixels
that a side is shrunk to, by area and back by cubic interpolation, where `resolution` is bilinear both ways as
augmentation is."""

_LIMITS = {
    "blur": (3, 31),
    "occlusion": (1, 7),
    "pose": (0, 75),
    "resolution": (8, 64),
    "gamma": (0.1, 10),
    "jpeg": (1, 100),
    "noise": (1, 128),
    "thumbnail": (8, 64),
}
_KINDS = {"pose": "degrees", "blur": "an odd kernel size", "gamma": "an exponent"}


@dataclass(frozen=True)
class Degradation:
    """One variation at one strength; what is random in it is drawn by (seed, number of the image).

    Attributes:
        variation: a name of `STRENGTHS` or `UNSEEN`.
        strength: in its unit.
        seed: of the place of the occlusion, the side of the pose, and the noise.
    """

    variation: str
    strength: float
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.variation}={self.strength:g}"

    def apply(self, images: Array, points: Float32s, numbers: Ints) -> Float32s:
        """Degrades crops.

        Args:
            images: uint8 or float [B, S, S, 3], RGB, 0..255.
            points: float32 [B, 10], five points in pixels of the crop; -1 where unknown.
            numbers: int [B], which image of the protocol each is.

        Returns:
            float32 [B, S, S, 3].
        """
        random = [np.random.default_rng([self.seed, int(n)]) for n in numbers]
        return _APPLIED[self.variation](np.asarray(images, np.float32), points, self.strength, random)


def _blur(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    from urfr_tf.augment.blur import LARGEST, gaussian_blur

    size = int(strength)
    return _to_array(gaussian_blur(images, np.full(len(images), size, np.int32), max(size, LARGEST)))


def _lower_resolution(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    return _to_array(_resizing_graph()(images, np.full(len(images), int(strength), np.int32)))


@functools.cache
def _resizing_graph() -> Callable[[Float32s, NDArray[np.int32]], "tf.Tensor"]:
    """`lower_resolution` as a graph: each image is a step of a loop, which is much slower outside of one."""
    import tensorflow as tf

    from urfr_tf.augment.resolution import lower_resolution

    graph: Callable[[Float32s, NDArray[np.int32]], tf.Tensor] = tf.function(
        lower_resolution, autograph=False, reduce_retracing=True
    )
    return graph


def _black_out(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    from urfr_tf.augment.occlusion import GRID, black_out

    draws = np.stack([each.random(2) for each in random])
    corner = (draws * (GRID + 1 - int(strength))).astype(np.int32)
    return _to_array(black_out(images, np.concatenate([corner, corner + int(strength)], axis=1)))


def _turn(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    from urfr_tf.augment.pose import turn

    sides = np.array([each.random(2)[0] for each in random])
    yaw = np.where(sides < 0.5, -strength, strength).astype(np.float32)
    return _to_array(turn(images, np.asarray(points, np.float32), yaw))


def _gamma(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    darker: Float32s = np.float32(255) * (images / np.float32(255)) ** np.float32(strength)
    return darker


def _jpeg(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    import cv2

    decoded = []
    for image in np.rint(images).astype(np.uint8):
        _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
        decoded.append(cv2.imdecode(content, cv2.IMREAD_COLOR))
    rgb: Float32s = np.asarray(decoded)[..., ::-1].astype(np.float32, order="C")
    return rgb


def _noise(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    noise = np.stack([each.standard_normal(images.shape[1:], np.float32) for each in random])
    noisy: Float32s = np.clip(images + np.float32(strength) * noise, 0, 255)
    return noisy


def _thumbnail(images: Float32s, points: Float32s, strength: float, random: Generators) -> Float32s:
    import cv2

    side = (int(strength), int(strength))
    full = images.shape[2], images.shape[1]
    small = [cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in images]
    large = [cv2.resize(image, full, interpolation=cv2.INTER_CUBIC) for image in small]
    # Cubic interpolation overshoots at edges.
    clipped: Float32s = np.clip(np.stack(large), 0, 255)
    return clipped


def _to_array(tensor: "tf.Tensor") -> Float32s:
    return np.asarray(tensor, np.float32)


_APPLIED: dict[str, Callable[[Float32s, Float32s, float, Generators], Float32s]] = {
    "blur": _blur,
    "occlusion": _black_out,
    "pose": _turn,
    "resolution": _lower_resolution,
    "gamma": _gamma,
    "jpeg": _jpeg,
    "noise": _noise,
    "thumbnail": _thumbnail,
}


def read_degradations(text: str, seed: int = 0) -> list[Degradation]:
    """`blur` -> one for each of its strengths; `blur:7` -> the one.

    Raises:
        UrfrError: another variation, or a strength out of its range.
    """
    variation, colon, strength = text.partition(":")
    strengths = {**STRENGTHS, **UNSEEN}
    if variation not in strengths:
        raise UrfrError(f"expected --degrade {'|'.join(strengths)}[:strength], but got {text}")
    if not colon:
        return [Degradation(variation, value, seed) for value in strengths[variation]]
    low, high = _LIMITS[variation]
    try:
        value = float(strength)
    except ValueError:
        value = np.nan
    whole = variation in ("pose", "gamma") or value % 1 == 0
    if not low <= value <= high or not whole or (variation == "blur" and value % 2 != 1):
        kind = _KINDS.get(variation, "a whole number")
        raise UrfrError(
            f"expected {kind} from {low} to {high} as the strength of {variation}, but got {strength}"
        )
    return [Degradation(variation, value, seed)]
