"""Eigenfaces (Turk and Pentland, 1991): the baseline without a network that the demo compares with."""

import numpy as np
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError


class Eigenfaces:
    """PCA of the pixels, fitted on some people and applied to others.

    Args:
        images: float [N, H, W, C], 0..255, of the training people.
        components: number of principal components to keep, at most N.

    Raises:
        UrfrError: The number of components is below 1 or above N.
    """

    def __init__(self, images: NDArray[np.float32], components: int) -> None:
        from sklearn.decomposition import PCA

        if not 1 <= components <= len(images):
            raise UrfrError(
                f"expected 1 to {len(images)} components of {len(images)} images, but got {components}"
            )
        # The full decomposition is exact. By default scikit-learn may choose a randomized one.
        self.pca = PCA(components, svd_solver="full").fit(flatten_pixels(images))

    def embed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Projects float [N, H, W, C], 0..255, to coefficients float32 [N, components] of norm 1."""
        coefficients = self.pca.transform(flatten_pixels(images))
        norm = np.linalg.norm(coefficients, axis=1, keepdims=True)
        return np.asarray(coefficients / np.maximum(norm, 1e-12), np.float32)


def flatten_pixels(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Puts the pixels of each image, scaled to 0..1, into one row: float64 [N, H W C]."""
    return images.reshape(len(images), -1).astype(np.float64) / 255.0
