"""TensorBoard's embedding projector: embeddings, a label for each, and a sprite of their faces."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.files import write_bytes, write_text
from urfr_tf.visualize.face_tiles import check_faces, tile_faces

# TensorBoard puts the sprite into one texture, and browsers take no larger one.
MAX_SPRITE = 8192
SIDE = 64


def make_sprite(faces: ArrayLike, side: int = SIDE) -> NDArray[np.uint8]:
    """Faces as the square sheet of square tiles that the projector wants, row by row.

    Args:
        faces: [N, H, W, 3], RGB 0..255. side: of a tile, in pixels.

    Returns:
        uint8 [R side, R side, 3] with R = ceil(sqrt(N)).

    Raises:
        UrfrError: as `check_faces`, or more faces than fit into 8192 x 8192 pixels.
    """
    import cv2

    pictures = check_faces(faces)
    across = int(np.ceil(np.sqrt(len(pictures))))
    if across * side > MAX_SPRITE:
        raise UrfrError(
            f"expected at most {(MAX_SPRITE // side) ** 2} faces of {side} pixels for the projector's "
            f"sprite, got {len(pictures)}"
        )
    small = [cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in pictures]
    blank = [np.full((side, side, 3), 255, np.uint8)] * (across**2 - len(small))
    return tile_faces(np.stack(small + blank), across, gap=0)


def write_projector(
    folder: str | os.PathLike[str],
    embedding: ArrayLike,
    labels: Mapping[str, Sequence[object]],
    faces: NDArray[np.generic],
) -> None:
    """Writes what `tensorboard --logdir FOLDER` shows under Projector.

    Args:
        folder: receives tensors.tsv, metadata.tsv, sprite.png and projector_config.pbtxt, the last one last.
        embedding: float [N, D], finite.
        labels: column -> N values; what the points can be colored and searched by.
        faces: [N, H, W, 3], RGB 0..255.

    Raises:
        UrfrError: sizes that do not match, no column of labels, values that are not finite, too many faces,
            the disk is full.
    """
    import cv2

    values = np.asarray(embedding, np.float32)
    number = len(values)
    if values.ndim != 2 or not number or not np.isfinite(values).all():
        raise UrfrError(f"expected finite embeddings [N, D] for the projector, got {values.shape}")
    lengths = {name: len(column) for name, column in labels.items()}
    if not lengths or set(lengths.values()) != {number} or len(faces) != number:
        raise UrfrError(
            f"expected a label and a face for each of {number} embeddings, got {lengths} and {len(faces)} "
            "faces"
        )
    sheet = cv2.imencode(".png", make_sprite(faces)[..., ::-1])[1].tobytes()
    rows = [list(map(_plain, row)) for row in zip(*labels.values(), strict=True)]
    # With a single column the projector takes the first line for a label, not for a heading.
    heading = [list(map(_plain, labels))] if len(labels) > 1 else []
    target = Path(folder)
    write_text(target / "tensors.tsv", "".join("\t".join(f"{v:.6g}" for v in row) + "\n" for row in values))
    write_text(target / "metadata.tsv", "".join("\t".join(row) + "\n" for row in heading + rows))
    write_bytes(target / "sprite.png", sheet)
    write_text(
        target / "projector_config.pbtxt",
        'embeddings {\n  tensor_name: "embedding"\n  tensor_path: "tensors.tsv"\n'
        '  metadata_path: "metadata.tsv"\n  sprite {\n    image_path: "sprite.png"\n'
        f"    single_image_dim: {SIDE}\n    single_image_dim: {SIDE}\n  }}\n}}\n",
    )


def _plain(value: object) -> str:
    """One cell of a table of tabs and lines."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return " ".join(text.split()) or "-"
