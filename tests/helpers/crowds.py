"""A model without a network, and people it can tell apart: fast, and known to the last digit."""

import dataclasses
import hashlib

import numpy as np
import pytest


@dataclasses.dataclass
class PixelModel:
    """Embeds the mean colors of a 4 x 4 grid: D = 48 in K = 4 groups; bright images are confident."""

    input_size: int = 32
    aligned_size: int = 40
    dim: int = 48
    groups: int = 4
    kind: str = "run"
    path: str = ""
    alignment: str = "none"
    calls: int = 0
    images: int = 0
    fingerprint: str = hashlib.sha256(b"pixels").hexdigest()

    def __call__(self, images):
        images = np.asarray(images, np.float32)
        assert images.shape[1:] == (32, 32, 3)
        self.calls += 1
        self.images += len(images)
        cells = images.reshape(-1, 4, 8, 4, 8, 3).mean(axis=(2, 4)).reshape(len(images), 4, 12) - 128
        cells = cells / np.maximum(np.linalg.norm(cells, axis=2, keepdims=True), 1e-6) / 2
        confidence = 1 + np.repeat(images.mean(axis=(1, 2, 3))[:, None], 4, axis=1)
        return {
            "embedding": cells.reshape(-1, 48),
            "confidence": confidence,
            "variance": 1 / confidence,
        }


@pytest.fixture
def pixel_model(tmp_path):
    return PixelModel(path=str(tmp_path / "run"))


@pytest.fixture(scope="session")
def crowd(tmp_path_factory):
    """A folder of 24 made-up people with 4 images of 40 x 40 each, and a text file named .jpg."""
    import cv2

    folder = tmp_path_factory.mktemp("crowd")
    random = np.random.default_rng(1)
    for person in range(24):
        face = cv2.resize(random.uniform(0, 255, [5, 5, 3]), (40, 40), interpolation=cv2.INTER_CUBIC)
        (folder / f"p{person}").mkdir()
        for i in range(4):
            image = np.clip(face + random.normal(0, 60, [4, 4, 3]).repeat(10, 0).repeat(10, 1), 0, 255)
            cv2.imwrite(str(folder / f"p{person}" / f"{i}.png"), image.astype(np.uint8))
    return folder


@pytest.fixture
def placed():
    """Puts a protocol's images into the plane: key of the image -> angle in degrees, None: not found."""
    from urfr_tf.evaluation.scoring import make_faces

    def faces(protocol, degrees, variance=None):
        keys = [item.key for item in protocol.images.stream()]
        angles = [degrees[key] for key in keys]
        radians = np.radians([0 if angle is None else angle for angle in angles])
        variances = None if variance is None else np.array([[variance.get(key, 0.1)] for key in keys])
        embedding = np.stack([np.cos(radians), np.sin(radians)], axis=1)
        return make_faces(embedding, variances, np.array([angle is not None for angle in angles]))

    return faces
