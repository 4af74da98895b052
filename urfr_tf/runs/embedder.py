"""The class of every loaded model: aligned crops in, embeddings and confidences out."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from urfr_tf import keys
from urfr_tf.runs.card import ModelCard
from urfr_tf.runs.image_batch import check_image_batch
from urfr_tf.runs.thresholds import Threshold, find_threshold

Outputs = dict[str, NDArray[np.float32]]
"""`embedding` [B, D], `confidence` [B, K], `variance` [B, K], and where it is known `norm` [B]."""


@dataclass(frozen=True)
class Embedder:
    """A loaded model. One thread at a time may call it.

    Attributes:
        path: where it was loaded from.
        kind: `run`, `saved_model`, `tflite`, or `server` (`urfr_tf.export.client`).
        input_size: S; larger images are center-cropped to S x S.
        groups: K.
        dim: D.
        fingerprint: SHA-256 (hex) of the files that the outputs depend on.
        compute: float32 [B, S, S, 3] with B > 0 -> the outputs.
        card: what the model says about itself; empty for a foreign TFLite file.
    """

    path: str
    kind: str
    input_size: int
    groups: int
    dim: int
    fingerprint: str
    compute: Callable[[NDArray[np.float32]], Outputs] = field(repr=False)
    card: ModelCard = field(default_factory=ModelCard, repr=False)

    @property
    def aligned_size(self) -> int:
        """Side in pixels of the aligned crops that the network was trained on, at least input_size."""
        alignment = self.card.get("alignment")
        size = alignment.get("size") if alignment else None
        return max(size, self.input_size) if isinstance(size, int) else self.input_size

    @property
    def alignment(self) -> str:
        """How photographs become crops as in training: `mtcnn` or `none`."""
        alignment = self.card.get("alignment")
        return "mtcnn" if alignment and alignment.get("template") else "none"

    @property
    def threshold(self) -> Threshold | None:
        """The threshold that was calibrated with the files of this model, or None.

        Raises:
            UrfrError: the file of the threshold is mangled.
        """
        return find_threshold(self.kind, self.path, self.fingerprint, self.card.get("threshold"))

    def __call__(self, images: ArrayLike) -> Outputs:
        """Embeds a batch.

        Args:
            images: uint8 or float [B, H, W, 3], RGB, 0..255, aligned; H, W >= input_size. Floats may have
                fractions.

        Returns:
            `embedding` float32 [B, D] of unit norm (each group 1/sqrt(K)), `confidence` float32
            [B, K] and `variance` = 1 / confidence float32 [B, K].

        Raises:
            UrfrError: the images have another shape, type or range; see `check_image_batch`.
        """
        outputs = self.embed_with_norm(images)
        return {name: outputs[name] for name in (keys.EMBEDDING, keys.CONFIDENCE, keys.VARIANCE)}

    def embed_with_norm(self, images: ArrayLike) -> Outputs:
        """Embeds a batch and adds `norm` float32 [B], the length of the embedding before normalization.

        Only a run folder knows this length, as its graph holds the layer before the normalization. The
        signatures of an export do not give it, and it is NaN there.

        Args:
            images: as for a call, with the same errors.
        """
        return self.embed_pixels(check_image_batch(images, self.input_size))

    def embed_pixels(self, images: NDArray[np.generic]) -> Outputs:
        """Does what `embed_with_norm` does to pixels that are known to be in 0..255, and measures no range.

        An evaluation needs it: a photograph that it darkens may become nearly black.

        Args:
            images: uint8 or float [B, H, W, 3], RGB, 0..255; H, W >= input_size.
        """
        crops = center_crop(images, self.input_size)
        if not len(crops):
            widths = {keys.EMBEDDING: self.dim, keys.CONFIDENCE: self.groups, keys.VARIANCE: self.groups}
            empty = {name: np.zeros([0, width], np.float32) for name, width in widths.items()}
            return {**empty, keys.NORM: np.zeros(0, np.float32)}
        outputs = self.compute(np.ascontiguousarray(crops, np.float32))
        norm = outputs.get(keys.NORM, np.full(len(crops), np.nan))
        names = (keys.EMBEDDING, keys.CONFIDENCE, keys.VARIANCE)
        arrays = {name: np.asarray(outputs[name], np.float32) for name in names}
        return {**arrays, keys.NORM: np.asarray(norm, np.float32)}


def center_crop(images: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """Cuts images to their center.

    Args:
        images: [B, H, W, C] with H, W >= size.
        size: height and width of the crops.

    Returns:
        The view [B, size, size, C] about the center, rounded up and to the left.
    """
    top, left = (images.shape[1] - size) // 2, (images.shape[2] - size) // 2
    return images[:, top : top + size, left : left + size]
