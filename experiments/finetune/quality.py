"""How much of a sub-embedding's quality can be known from the features at all: ridge regression in place of
the confidence head.

Quality is the cosine between a group of a degraded image's embedding and the same group of the clean image's.
The regression sees what the confidence head sees, on training images degraded at random as in training, and
is asked about other people's.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.degradations import Degradation, read_degradations
from urfr_tf.runs.load_run import load_network

COPIES = 2
"""Degraded copies of a training image."""
RIDGE = 1000.0
_LEAST = 1e-3


class Network:
    """Features float64 [B, F], unit groups float64 [B, K, d] and confidences float64 [B, K] of a run folder's
    network.

    Args:
        run: the folder. training: batch norms by the statistics of each 64 images, as in training.

    Raises:
        UrfrError: no such run, or one without sub-embeddings.
    """

    def __init__(self, run: Path, training: bool = False) -> None:
        import tensorflow as tf

        from urfr_tf import keys
        from urfr_tf.keras2 import keras
        from urfr_tf.layers.cpu.fused_forward import fused_forward

        network, card, _ = load_network(run)
        if card["groups"] < 2:
            raise UrfrError(f"expected a run of several sub-embeddings, but model.groups of {run} is 1")
        self.size = card["input_size"]
        inner = keras.Model(
            network.input,
            {name: network.get_layer(name).output for name in ("features", "embedding", "confidence")},
        )

        def call(image: tf.Tensor) -> list[tf.Tensor]:
            outputs = fused_forward(inner, {keys.IMAGE: image}, training=training)
            return [outputs[name] for name in ("features", "embedding", "confidence")]

        spec = tf.TensorSpec([None, self.size, self.size, 3], tf.float32)
        self._call: Callable = tf.function(call, [spec], autograph=False)

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Crops float32 [B, S, S, 3]."""
        outputs = [self._call(crops[start : start + 64]) for start in range(0, len(crops), 64)]
        features, groups, confidence = (
            np.concatenate([each[i].numpy() for each in outputs]).astype(np.float64) for i in range(3)
        )
        return features, groups / np.linalg.norm(groups, axis=2, keepdims=True), confidence


def degraded(crops: np.ndarray, name: str) -> np.ndarray:
    """Crops [B, S, S, 3] under `variation:strength`."""
    [degradation] = read_degradations(name)
    return _apply(degradation, crops, np.arange(len(crops)))


def _apply(degradation: Degradation, crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those of the crops, whose five points are not known."""
    return degradation.apply(crops[rows], np.full([len(rows), 10], -1, np.float32), rows)


def at_random(crops: np.ndarray, seed: int) -> np.ndarray:
    """Each crop [B, S, S, 3] blurred, shrunk or covered, at a strength of the fine-tuning's range."""
    random = np.random.default_rng(seed)
    drawn = [
        (
            Degradation("blur", 2 * int(random.integers(1, 16)) + 1, seed),
            Degradation("resolution", int(random.integers(8, 49)), seed),
            Degradation("occlusion", int(random.integers(1, 6)), seed),
        )[random.integers(3)]
        for _ in crops
    ]
    result = np.empty_like(crops)
    for each in set(drawn):
        rows = np.array([row for row, other in enumerate(drawn) if other == each])
        result[rows] = _apply(each, crops, rows)
    return result


def inputs(features: np.ndarray) -> np.ndarray:
    """What the confidence head sees, [B, F + 1]: direction and logarithm of the length."""
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    return np.concatenate([features / np.maximum(norm, 1e-9), np.log(np.maximum(norm, 1e-9))], axis=1)


def regression(features: np.ndarray, quality: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Features [B, F] -> what their groups' log(1 - quality) [B, K] is, up to its sign: larger is better."""
    fitted = make_pipeline(StandardScaler(), Ridge(RIDGE))
    fitted.fit(inputs(features), np.log(np.maximum(1 - quality, _LEAST)))
    return lambda features: -fitted.predict(inputs(features))


def learn(network: Network, crops: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The regression of degraded copies of training crops [B, S, S, 3]."""
    _, clean, _ = network(crops)
    features, quality = [], []
    for copy in range(COPIES):
        each, groups, _ = network(at_random(crops, copy))
        features.append(each)
        quality.append(np.einsum("nkd,nkd->nk", groups, clean))
    return regression(np.concatenate(features), np.concatenate(quality))
