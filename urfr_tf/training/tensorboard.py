"""TensorBoard: of training, scalars, augmented images with their labels and the K confidences (Figure 1);
of a report, its pictures."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.training.snapshot import Snapshot
from urfr_tf.visualize.report import Picture, picture_png

_SHOWN = 16


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

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Scalars, histograms; the images once."""
        images = self.images
        if images is None:
            images, labels = self.sample()
            self._show(images, labels, epoch + 1)
            self.images = images
        scalars = {**(logs or {}), **self.model.log_values()[1]}
        self.snapshot.refresh()
        confidence = self.snapshot.embed(np.asarray(images)).get(keys.CONFIDENCE)
        with self.writer.as_default(step=epoch + 1):
            for name, value in scalars.items():
                tf.summary.scalar(name, float(value))
            if confidence is not None:
                for k in range(confidence.shape[1]):
                    tf.summary.histogram(f"confidence/{k:02d}", confidence[:, k])
        self.writer.flush()

    def _show(self, images: np.ndarray, labels: np.ndarray, step: int) -> None:
        with self.writer.as_default(step=step):
            tf.summary.image("augmented", tf.cast(images, tf.uint8), max_outputs=_SHOWN)
            if self.variations:
                rows = [["image", *self.variations], ["---"] * (len(self.variations) + 1)]
                rows += [
                    [str(i), *(f"{v:g}" for v in row)] for i, row in enumerate(np.asarray(labels)[:_SHOWN])
                ]
                table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
                tf.summary.text("augmented_labels", table)


def write_pictures(folder: str | os.PathLike[str], drawn: Sequence[Picture]) -> None:
    """Writes pictures under their captions for TensorBoard's Images.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    try:
        writer = tf.summary.create_file_writer(str(folder))
        with writer.as_default(step=0):
            for picture in drawn:
                content = tf.io.decode_png(picture_png(picture), channels=3)
                tf.summary.image(picture.caption, content[tf.newaxis])
        writer.close()
    except tf.errors.OpError as error:
        raise UrfrError(f"could not write TensorBoard's events to {folder}: {reason_of(error)}") from error
