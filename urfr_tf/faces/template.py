"""Where the five points of an aligned face lie: the template of ArcFace, for any crop size."""

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError

POINT_NAMES = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
"""The order of five points everywhere; left and right as seen in the image, not by the person."""

_SIZE = 112
_ARCFACE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
_SMALLEST, _LARGEST = 16, 4096


def five_points(size: int = _SIZE) -> NDArray[np.float64]:
    """The five points of an aligned face in pixels of a square crop.

    The numbers for 112 are those of ArcFace (Deng et al., CVPR 2019) and of nearly every published
    face-recognition model. Another size is the same crop resized: with pixel centres at whole numbers, the
    point x of the 112-pixel crop lies at (x + 1/2) size / 112 - 1/2. So 110, the size of the URFace paper,
    shows the same area of the head as 112 with pixels 1.8 % larger; it is not 112 with a border cut off.

    Args:
        size: width and height of the crop in pixels, 16 to 4096.

    Returns:
        float64 [5, 2], x and y, in the order of `POINT_NAMES`.

    Raises:
        UrfrError: the size is not in that range.
    """
    if not _SMALLEST <= size <= _LARGEST:
        raise UrfrError(f"expected a crop size of {_SMALLEST} to {_LARGEST} pixels, but got {size}")
    return (np.asarray(_ARCFACE, np.float64) + 0.5) * (size / _SIZE) - 0.5
