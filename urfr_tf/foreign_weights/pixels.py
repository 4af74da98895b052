"""What networks of other projects make of pixels before their first convolution."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError

NEARLY_SCALE, NEARLY_ZERO = 0.01, 0.02
"""Shares of a scale, and pixels, that count as the same: (x - 127.5) / 128 is `centered`."""


class Pixels(NamedTuple):
    """(pixel - zero) * scale, for R, G, B of 0..255."""

    zero: tuple[float, ...]
    scale: tuple[float, ...]

    def is_like(self, other: "Pixels") -> bool:
        """Returns whether both are one convention, give or take a rounded constant."""
        return is_zero(self.zero, other.zero) and np.allclose(
            self.scale, other.scale, rtol=NEARLY_SCALE, atol=0
        )

    def __str__(self) -> str:
        """Gives the name of the convention, or else the formula."""
        for name, pixels in PIXELS.items():
            if self.is_like(pixels):
                return name
        return f"(x - {_shorten(self.zero)}) * {_shorten(self.scale)}"

    def network_order(self, blue_first: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gives scale [3] and offset [3] in the order of channels of a network: n = x * scale + offset."""
        step = -1 if blue_first else 1
        scale = np.asarray(self.scale, np.float64)[::step]
        return scale, -np.asarray(self.zero, np.float64)[::step] * scale


PIXELS = {
    "centered": Pixels((127.5,) * 3, (1 / 127.5,) * 3),
    "0..1": Pixels((0.0,) * 3, (1 / 255,) * 3),
    "imagenet": Pixels((123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)),
    "0..255": Pixels((0.0,) * 3, (1.0,) * 3),
}
"""The conventions by their names: -1..1, and the mean and deviation of ImageNet's photographs."""


def is_zero(zero: Sequence[float], other: Sequence[float]) -> bool:
    """Returns whether two pixels [3] are the same, give or take a rounded constant."""
    return np.allclose(zero, other, rtol=0, atol=NEARLY_ZERO)


def choose_pixels(own: Pixels | None, said: Pixels | None, assumed: Pixels | None) -> Pixels:
    """Decides what a network makes of pixels.

    Args:
        own: what its file says.
        said: what the user says.
        assumed: what networks of this format usually want; None where they differ.

    Raises:
        UrfrError: the user contradicts the file, or nobody says it.
    """
    if own is not None:
        if said is not None and not said.is_like(own):
            raise UrfrError(
                f"expected no --pixels, or the file's own: it holds its normalization, which is {own}, but "
                f"--pixels {said} was given; leave it out"
            )
        return own
    chosen = said or assumed
    if chosen is None:
        raise UrfrError(
            "the file does not say what the network makes of pixels before its first convolution: give "
            f"--pixels {', '.join(PIXELS)}; --check FOLDER_OF_PEOPLE tells whether it was right"
        )
    return chosen


def _shorten(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "(" + ", ".join(f"{v:g}" for v in values) + ")"
