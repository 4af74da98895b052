"""Degraded probes: each variation at a strength, for robustness curves (the paper's synthetic sets).

Beside the variations that training augments with there are some that it never sees: what they do to accuracy tells
whether a representation is universal, or only used to its augmentations.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError

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
"""In no training: exponent of a pixel's value; quality of the JPEG; standard deviation in grey levels; pixels that a side is
shrunk to, by area and back by cubic interpolation, where `resolution` is bilinear both ways as augmentation is."""

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

    def apply(self, images: np.ndarray, points: np.ndarray, numbers: np.ndarray) -> np.ndarray:
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


def _blur(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    from urfr_tf.augment.blur import LARGEST, gaussian_blur

    size = int(strength)
    return gaussian_blur(images, np.full(len(images), size, np.int32), max(size, LARGEST)).numpy()


def _lower_resolution(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    return _resizing()(images, np.full(len(images), int(strength), np.int32)).numpy()


@functools.cache
def _resizing() -> Callable[..., Any]:
    """`lower_resolution` as a graph: each image is a step of a loop, which takes 4 to 9 times as long
    outside of one (64 crops of 112 pixels, seven rounds on two busy cores)."""
    import tensorflow as tf

    from urfr_tf.augment.resolution import lower_resolution

    return tf.function(lower_resolution, autograph=False, reduce_retracing=True)


def _black_out(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    from urfr_tf.augment.occlusion import GRID, black_out

    draws = np.stack([each.random(2) for each in random])
    corner = (draws * (GRID + 1 - int(strength))).astype(np.int32)
    return black_out(images, np.concatenate([corner, corner + int(strength)], axis=1)).numpy()


def _turn(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    from urfr_tf.augment.pose import turn

    sides = np.array([each.random(2)[0] for each in random])
    yaw = np.where(sides < 0.5, -strength, strength).astype(np.float32)
    return turn(images, np.asarray(points, np.float32), yaw).numpy()


def _gamma(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    return 255 * (images / 255) ** np.float32(strength)


def _jpeg(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    import cv2

    def again(image: np.ndarray) -> np.ndarray:
        _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
        return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]

    return np.stack([again(image) for image in np.rint(images).astype(np.uint8)]).astype(np.float32)


def _noise(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    noise = np.stack([each.standard_normal(images.shape[1:], np.float32) for each in random])
    return np.clip(images + np.float32(strength) * noise, 0, 255)


def _thumbnail(images: np.ndarray, points: np.ndarray, strength: float, random: list) -> np.ndarray:
    import cv2

    side = (int(strength), int(strength))
    full = images.shape[2], images.shape[1]
    small = [cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in images]
    large = [cv2.resize(image, full, interpolation=cv2.INTER_CUBIC) for image in small]
    return np.clip(np.stack(large), 0, 255)  # cubic interpolation overshoots at edges


_APPLIED: dict[str, Callable[[np.ndarray, np.ndarray, float, list], np.ndarray]] = {
    "blur": _blur,
    "occlusion": _black_out,
    "pose": _turn,
    "resolution": _lower_resolution,
    "gamma": _gamma,
    "jpeg": _jpeg,
    "noise": _noise,
    "thumbnail": _thumbnail,
}


def degradations(text: str, seed: int = 0) -> list[Degradation]:
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
