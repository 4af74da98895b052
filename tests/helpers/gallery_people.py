"""Galleries of made-up people: embeddings by NumPy, no network."""

import hashlib

import numpy as np

from urfr_tf.gallery.records import StoredImage
from urfr_tf.runs.embedder import Embedder

GROUPS, WIDTH = 4, 6
SIZE = 32


def embedder(fingerprint="a" * 64, path="model", compute=None):
    card = {"alignment": {"size": SIZE, "template": None, "points": None}}
    return Embedder(path, "run", SIZE, GROUPS, GROUPS * WIDTH, fingerprint, compute or embed_pixels, card)


def embed_pixels(batch):
    """An embedding for any pixels: a fixed projection of a 4 x 4 thumbnail; confidences from 1 to 9."""
    count = len(batch)
    small = batch.reshape(count, 4, 8, 4, 8, 3).mean(axis=(2, 4)).reshape(count, -1) - 128.0
    project = np.random.default_rng(7).standard_normal((48, GROUPS * WIDTH))
    groups = (small @ project).reshape(count, GROUPS, WIDTH)
    groups /= np.linalg.norm(groups, axis=2, keepdims=True) + 1e-9
    confidence = 1 + 8 / (1 + np.exp(-small[:, :GROUPS] / 50))
    embedding = groups.reshape(count, -1) / np.sqrt(GROUPS)
    return {"embedding": embedding, "confidence": confidence, "variance": 1 / confidence}


def image(random, person=0, number=0, thumbnail=b"", noise=0.3):
    """A made-up image of person `person`: near to a direction of their own."""
    center = np.random.default_rng([99, person]).standard_normal((GROUPS, WIDTH))
    groups = center + noise * random.standard_normal((GROUPS, WIDTH))
    groups /= np.linalg.norm(groups, axis=1, keepdims=True)
    return StoredImage(
        hashlib.sha256(f"{person}/{number}".encode()).digest(),
        f"<{person}>/{number}.jpg",
        "none",
        (groups.reshape(-1) / np.sqrt(GROUPS)).astype(np.float16),
        random.uniform(1, 50, GROUPS).astype(np.float32),
        thumbnail,
    )


def crowd(people, images=2, first=0):
    """Names with images."""
    random = np.random.default_rng(first)
    return [
        (f"person {person}", [image(random, person, number) for number in range(images)])
        for person in range(first, first + people)
    ]


def probes(people, seed=5):
    """embedding float32 [N, D] and variance float32 [N, K] of another image of each person."""
    random = np.random.default_rng(seed)
    images = [image(random, person, 1000) for person in people]
    return (
        np.stack([one.embedding for one in images]).astype(np.float32),
        1 / np.stack([one.confidence for one in images]),
    )
