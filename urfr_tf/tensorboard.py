"""TensorBoard: scalars, augmented images with their labels, and the K confidences (Figure 1)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import heads
from urfr_tf.snapshot import Snapshot


class WriteTensorBoard(keras.callbacks.Callback):
    """Writes each epoch's logs, and confidences on one augmented training batch."""

    def __init__(
        self,
        folder: Path,
        snapshot: Snapshot,
        sample: Callable[[], tuple[np.ndarray, np.ndarray]],
        variations: Sequence[str],
    ) -> None:
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(folder))
        self.snapshot = snapshot
        self.sample = sample
        self.variations = tuple(variations)
        self.images: np.ndarray | None = None
        self.labels: np.ndarray | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Scalars, histograms; the images once."""
        if self.images is None:
            self.images, self.labels = self.sample()
            with self.writer.as_default(step=epoch + 1):
                tf.summary.image("augmented", tf.cast(self.images, tf.uint8), max_outputs=16)
                if self.variations:
                    table = [
                        "| image | " + " | ".join(self.variations) + " |",
                        "| --- " * (len(self.variations) + 1) + "|",
                    ]
                    table += [
                        f"| {i} | " + " | ".join(f"{v:g}" for v in row) + " |"
                        for i, row in enumerate(self.labels[:16])
                    ]
                    tf.summary.text("augmented_labels", "\n".join(table))
        self.snapshot.refresh()
        confidence = self.snapshot.embed(self.images)[heads.CONFIDENCE]
        with self.writer.as_default(step=epoch + 1):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, float(value))
            for k in range(confidence.shape[1]):
                tf.summary.histogram(f"confidence/{k:02d}", confidence[:, k])
            means, squares = (metric.result() for metric in self.model.moments)
            for k in range(confidence.shape[1]):
                tf.summary.scalar(f"confidence_mean/{k:02d}", means[k])
                spread = tf.sqrt(tf.maximum(squares[k] - means[k] ** 2, 0.0))
                tf.summary.scalar(f"confidence_std/{k:02d}", spread)
            if self.model.classifier is not None:
                for (t, u), value in np.ndenumerate(self.model.readable.result().numpy()):
                    tf.summary.scalar(f"readable/{self.variations[u]}_in_half_{self.variations[t]}", value)
        self.writer.flush()
