"""The one check of the arrays that a model is called with: pixels are RGB in 0..255, or nothing is embedded.

A network gives an embedding for any numbers. With pixels in 0..1 all of them look nearly black to it, and
everybody matches everybody.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError

_DARKEST = 4.0
"""A float image in 0..255 that stays below it shows nothing. One in 0..1 may overshoot 1 a little."""
_ROUNDING = 0.5
_OVERSHOOT = 64.0
_EIGHT_BITS = 255


def check_image_batch(images: ArrayLike, size: int) -> NDArray[np.generic]:
    """Checks shape, type and range of the images that a model is called with.

    uint8 is in range by its type, so that a black uint8 image passes. The range of each float image is
    measured, as one that was scaled may be among others that were not.

    Args:
        images: what the caller gave.
        size: least height and width in pixels.

    Returns:
        The images as an array, uint8 or float [B, H, W, 3].

    Raises:
        UrfrError: another shape or type, NaN or infinity, or a range that pixels in 0..255 do not have.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise UrfrError(
            "expected images [B, H, W, 3], but got a list of several shapes; resize the images to one size"
        ) from error
    _check_shape(array, size)
    if array.dtype == np.uint8 or not array.size:
        return array
    lowest, highest = (np.asarray(f(array, axis=(1, 2, 3)), np.float64) for f in (np.min, np.max))
    finite = np.isfinite(lowest) & np.isfinite(highest)
    if not finite.all():
        raise UrfrError(
            f"expected finite pixels in 0..255, but image {np.argmin(finite)} of {len(array)} has NaN or "
            "infinity; look for it where the images are made"
        )
    outside = (lowest < -_ROUNDING) | (highest > _EIGHT_BITS + _ROUNDING)
    black = (lowest == 0) & (highest == 0)  # in every range
    bad = outside | ((highest < _DARKEST) & ~black)
    if bad.any():
        row = int(np.argmax(bad))
        raise UrfrError(
            f"expected RGB pixels in 0..255, but image {row} of {len(array)} has {array.dtype} values from "
            f"{lowest[row]:.6g} to {highest[row]:.6g}; {_advise(lowest[row], highest[row])}"
        )
    return array


def _check_shape(array: NDArray[np.generic], size: int) -> None:
    shape = list(array.shape)
    if array.dtype.kind == "O":
        raise UrfrError(
            f"expected images [B, H, W, 3] of uint8 or float, but got objects of shape {shape}; resize the "
            "images to one size and stack them with numpy.stack"
        )
    if array.ndim != 4 or shape[-1] != 3 or min(shape[1:3]) < size:
        raise UrfrError(
            f"expected images [B, H, W, 3] with H and W at least {size}, but got shape "
            f"{shape}{_advise_on_shape(shape)}"
        )
    if array.dtype == np.uint8 or np.issubdtype(array.dtype, np.floating):
        return
    found = str(array.dtype)
    if array.dtype.kind in "iu" and array.size:
        least, most = array.min(), array.max()
        found += f" from {least} to {most}; {_advise(float(least), float(most), whole=True)}"
    raise UrfrError(f"expected images of uint8 or float in 0..255, but got {found}")


def _advise_on_shape(shape: list[int]) -> str:
    if len(shape) == 4 and shape[1] == 3:
        return "; the channels come last: images.transpose(0, 2, 3, 1)"
    if len(shape) == 3 and shape[0] == 3 != shape[-1]:
        return "; this is one image with its channels first: image.transpose(1, 2, 0)[None]"
    if len(shape) == 3 and shape[-1] == 3:
        return "; one image is a batch of one: image[None]"
    if len(shape) == 4 and shape[-1] == 4:
        return "; leave out the alpha channel: images[..., :3]"
    if len(shape) == 4 and shape[-1] == 1:
        return "; repeat the gray channel: images.repeat(3, axis=-1)"
    return ""


def _advise(lowest: float, highest: float, whole: bool = False) -> str:
    """Says what a range looks like, and what makes pixels in 0..255 of it."""
    if whole and lowest >= 0 and highest <= _EIGHT_BITS:
        return "convert them with images.astype(numpy.uint8)"
    if lowest >= 0 and highest < _DARKEST:
        return "multiply pixels in 0..1 by 255, or give an image as uint8 if it really is that dark"
    if lowest >= -1 - _ROUNDING and highest < 1 + _ROUNDING:
        return "turn pixels in -1..1 into (x + 1) * 127.5"
    if lowest > -_OVERSHOOT and _EIGHT_BITS - _OVERSHOOT < highest < _EIGHT_BITS + _OVERSHOOT:
        return "clip what an interpolation overshoots: images.clip(0, 255)"
    if lowest >= 0 and highest < 1 << 16:
        bits = next(bits for bits in (10, 12, 14, 16) if highest < 1 << bits)
        return f"divide pixels of {bits} bits by {((1 << bits) - 1) / _EIGHT_BITS:g}"
    return "the model normalizes pixels itself, so give them as they were decoded"
