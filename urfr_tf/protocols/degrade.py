"""Degraded probes: each variation at a strength, for robustness curves (the paper's synthetic sets)."""

from dataclasses import dataclass

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

_LIMITS = {"blur": (3, 11), "occlusion": (1, 7), "pose": (0, 75), "resolution": (16, 64)}


@dataclass(frozen=True)
class Degradation:
    """One variation at one strength; what is random in it is drawn by (seed, number of the image).

    Attributes:
        variation: a name of `STRENGTHS`.
        strength: in its unit.
        seed: of the place of the occlusion and the side of the pose.
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
        import tensorflow as tf

        batch = tf.constant(images, tf.float32)
        draws = np.stack([np.random.default_rng([self.seed, int(n)]).random(2) for n in numbers])
        whole = tf.fill([len(images)], int(self.strength))
        if self.variation == "blur":
            from urfr_tf.augment.blur import gaussian_blur

            return gaussian_blur(batch, whole).numpy()
        if self.variation == "resolution":
            from urfr_tf.augment.resolution import lower_resolution

            return lower_resolution(batch, whole).numpy()
        if self.variation == "occlusion":
            from urfr_tf.augment.occlusion import GRID, black_out

            corner = (draws * (GRID + 1 - int(self.strength))).astype(np.int32)
            rectangle = np.concatenate([corner, corner + int(self.strength)], axis=1)
            return black_out(batch, tf.constant(rectangle, tf.int32)).numpy()
        from urfr_tf.augment.pose import turn

        yaw = np.where(draws[:, 0] < 0.5, -self.strength, self.strength).astype(np.float32)
        return turn(batch, tf.constant(points, tf.float32), tf.constant(yaw)).numpy()


def degradations(text: str, seed: int = 0) -> list[Degradation]:
    """`blur` -> one for each of its strengths; `blur:7` -> the one.

    Raises:
        UrfrError: another variation, or a strength out of its range.
    """
    variation, colon, strength = text.partition(":")
    if variation not in STRENGTHS:
        raise UrfrError(f"expected --degrade {'|'.join(STRENGTHS)}[:strength], but got {text}")
    if not colon:
        return [Degradation(variation, value, seed) for value in STRENGTHS[variation]]
    low, high = _LIMITS[variation]
    try:
        value = float(strength)
    except ValueError:
        value = np.nan
    whole = variation == "pose" or value % 1 == 0
    if not low <= value <= high or not whole or (variation == "blur" and value % 2 != 1):
        kind = {"pose": "degrees", "blur": "an odd kernel size"}.get(variation, "a whole number")
        raise UrfrError(
            f"expected {kind} from {low} to {high} as the strength of {variation}, but got {strength}"
        )
    return [Degradation(variation, value, seed)]
