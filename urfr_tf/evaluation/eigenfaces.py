"""Eigenfaces (Turk and Pentland, 1991): the baseline without a network that the demo compares with."""

import numpy as np

from urfr_tf.errors import UrfrError


class Eigenfaces:
    """PCA of the pixels, fitted on some people and applied to others.

    Args:
        images: float [N, H, W, C], 0..255, of the training people.
        components: number of principal components kept, at most N.
    """

    def __init__(self, images: np.ndarray, components: int) -> None:
        flat = images.reshape(len(images), -1).astype(np.float64) / 255.0
        if not 1 <= components <= len(flat):
            raise UrfrError(
                f"expected 1 to {len(flat)} components of {len(flat)} images, but got {components}"
            )
        self.mean = flat.mean(axis=0)
        _, _, rows = np.linalg.svd(flat - self.mean, full_matrices=False)
        self.basis = rows[:components]

    def embed(self, images: np.ndarray) -> np.ndarray:
        """float [N, H, W, C] -> coefficients float32 [N, components], each of norm 1."""
        flat = images.reshape(len(images), -1).astype(np.float64) / 255.0
        coefficients = (flat - self.mean) @ self.basis.T
        norm = np.linalg.norm(coefficients, axis=1, keepdims=True)
        return (coefficients / np.maximum(norm, 1e-12)).astype(np.float32)
