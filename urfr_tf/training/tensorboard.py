"""TensorBoard's files.

Of a training: scalars, augmented images with their labels, and the K confidences (Figure 1 of the paper).
Of a report: its pictures.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.keras2 import keras
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.system.plain_paths import plain_path
from urfr_tf.training.callbacks import Logs
from urfr_tf.training.snapshot import Snapshot
from urfr_tf.visualize.report import Picture, encode_picture

_SHOWN = 16


class WriteTensorBoard(keras.callbacks.Callback):
    """Writes the logs of each epoch, and the confidences of one augmented training batch.

    Args:
        folder: where TensorBoard's files are written.
        snapshot: the network as it would be served now.
        sample: returns the batch: images float32 [B, S, S, 3], variation labels float32 [B, T].
        variations: names of the T variations.
    """

    def __init__(
        self,
        folder: Path,
        snapshot: Snapshot,
        sample: Callable[[], tuple[Float32s, Float32s]],
        variations: Sequence[str],
    ) -> None:
        super().__init__()
        self.folder = folder
        self.writer: tf.summary.SummaryWriter | None = None
        self.snapshot = snapshot
        self.sample = sample
        self.variations = tuple(variations)
        self.images: Float32s | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes scalars and histograms, and the images after the first epoch."""
        if self.writer is None:  # Not earlier: the first file is there as soon as there is a writer.
            self.folder.mkdir(parents=True, exist_ok=True)
            self.writer = tf.summary.create_file_writer(plain_path(self.folder))
        images = self.images
        if images is None:
            images, labels = self.sample()
            self._write_images(self.writer, images, labels, epoch + 1)
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

    def _write_images(
        self, writer: tf.summary.SummaryWriter, images: Float32s, labels: Float32s, step: int
    ) -> None:
        with writer.as_default(step=step):
            tf.summary.image("augmented", tf.cast(images, tf.uint8), max_outputs=_SHOWN)
            if self.variations:
                tf.summary.text("augmented_labels", _markdown_table(self.variations, labels[:_SHOWN]))


def _markdown_table(variations: Sequence[str], labels: Float32s) -> str:
    rows = [["image", *variations], ["---"] * (len(variations) + 1)]
    rows += [[str(i), *(f"{value:g}" for value in row)] for i, row in enumerate(np.asarray(labels))]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write_pictures(folder: str | os.PathLike[str], pictures: Sequence[Picture]) -> None:
    """Writes pictures with their captions for the tab Images of TensorBoard.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    try:
        writer = tf.summary.create_file_writer(plain_path(folder))
        with writer.as_default(step=0):
            for picture in pictures:
                content = tf.io.decode_png(encode_picture(picture), channels=3)
                tf.summary.image(picture.caption, content[tf.newaxis])
        writer.close()
    except tf.errors.OpError as error:
        raise UrfrError(f"could not write TensorBoard's events to {folder}: {reason_of(error)}") from error
