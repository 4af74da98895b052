"""Many faces as one image: a grid of equal tiles."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError


def check_faces(images: ArrayLike) -> NDArray[np.uint8]:
    """RGB faces as uint8 [N, H, W, 3]; float pixels 0..255 are clipped and rounded.

    Raises:
        UrfrError: another shape, no image, float pixels that are not finite.
    """
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[-1] != 3 or not array.size:
        raise UrfrError(f"expected RGB faces [N, H, W, 3] with N at least 1, got {array.shape}")
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if not np.isfinite(array).all():
        raise UrfrError("expected finite pixels 0..255, but some are not")
    return np.asarray(np.clip(np.rint(array), 0, 255), np.uint8)


def tile_faces(images: ArrayLike, columns: int, gap: int = 2, background: int = 255) -> NDArray[np.uint8]:
    """Lays faces out row by row.

    Args:
        images: [N, H, W, 3], RGB 0..255.
        columns: tiles in a row, at least 1.
        gap: pixels between tiles. background: gray value 0..255 of gaps and empty places.

    Returns:
        uint8 [R (H + gap) - gap, columns (W + gap) - gap, 3] with R = ceil(N / columns).

    Raises:
        UrfrError: as `check_faces`, or columns below 1.
    """
    faces = check_faces(images)
    if columns < 1:
        raise UrfrError(f"expected at least one column of tiles, got {columns}")
    number, height, width, _ = faces.shape
    rows = -(-number // columns)
    grid = np.full((rows, height + gap, columns, width + gap, 3), background, np.uint8)
    for index, face in enumerate(faces):
        grid[index // columns, :height, index % columns, :width] = face
    whole = grid.reshape(rows * (height + gap), columns * (width + gap), 3)
    return whole[: rows * (height + gap) - gap, : columns * (width + gap) - gap]
