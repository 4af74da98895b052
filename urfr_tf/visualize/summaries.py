"""What TensorBoard shows of a training step: images after augmentation, and the K confidences.

Plain arrays in and out; the trainer writes them with `tf.summary.image` and `tf.summary.histogram`.
"""

from collections.abc import Sequence

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.tiles import checked_faces, tile

STRIP = 14


def captions(labels: np.ndarray, variation: np.ndarray, names: Sequence[str]) -> list[str]:
    """What stands under each image: its label and the initials of the variations it went through.

    Args:
        labels: int [B]. variation: [B, T] of 0 and 1, soft labels count from 0.5 on.
        names: T names, for instance ("blur", "occlusion", "pose").

    Returns:
        B texts such as "17 bo".

    Raises:
        UrfrError: sizes that do not match.
    """
    numbers, applied = np.asarray(labels), np.asarray(variation)
    if applied.shape != (len(numbers), len(names)):
        raise UrfrError(f"expected variations [{len(numbers)}, {len(names)}], got {applied.shape}")
    return [
        f"{number} {''.join(name[:1] for name, on in zip(names, row, strict=True) if on >= 0.5)}".strip()
        for number, row in zip(numbers, applied, strict=True)
    ]


def image_grid(
    images: np.ndarray, labels: Sequence[object] | np.ndarray, columns: int = 8, limit: int = 32
) -> np.ndarray:
    """A batch as one picture, each face over a strip with its label.

    Args:
        images: [B, S, S, 3], RGB 0..255, as they go into the model. labels: [B], shown as text.
        columns: faces in a row. limit: only the first so many of the batch.

    Returns:
        uint8 [1, H, W, 3] for `tf.summary.image`.

    Raises:
        UrfrError: as `checked_faces`, or B differs.
    """
    import cv2

    if len(images) != len(labels):
        raise UrfrError(f"expected as many labels as images, got {len(labels)} and {len(images)}")
    faces = checked_faces(np.asarray(images)[:limit])
    number, height, width, _ = faces.shape
    tiles = np.full((number, height + STRIP, width, 3), 255, np.uint8)
    tiles[:, :height] = faces
    for index in range(number):
        # OpenCV draws in place and wants memory of its own.
        strip = np.ascontiguousarray(tiles[index, height:])
        cv2.putText(
            strip, str(labels[index]), (1, STRIP - 3), cv2.FONT_HERSHEY_PLAIN, 0.8, (0, 0, 0), 1, cv2.LINE_AA
        )
        tiles[index, height:] = strip
    return tile(tiles, min(columns, number))[None]


def confidence_histograms(confidence: np.ndarray) -> dict[str, np.ndarray]:
    """The data of one histogram a sub-embedding: Figure 1 of the supplement, over the time of training.

    Args:
        confidence: [B, K], collected over as many batches as one likes.

    Returns:
        Tag "confidence/01" ... -> float32 values; infinities and NaN are left out, TensorBoard cannot
        draw them.

    Raises:
        UrfrError: another shape.
    """
    values = np.asarray(confidence, np.float32)
    if values.ndim != 2:
        raise UrfrError(f"expected confidences [B, K], got {values.shape}")
    return {f"confidence/{k + 1:02d}": values[np.isfinite(values[:, k]), k] for k in range(values.shape[1])}
