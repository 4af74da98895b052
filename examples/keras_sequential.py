"""Use an exported SavedModel as a frozen layer in a `keras.Sequential` of your own.

    urfr export --run default --format saved_model --out export
    python examples/keras_sequential.py export/saved_model faces/

It trains a classifier that names the people in `faces/` (one folder per person).
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf

import urfr_tf
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.photographs import crop_photographs

keras = tf.keras  # Keras 3 from TensorFlow 2.16 on


class SavedModel(keras.layers.Layer):
    """Gives the embedding [B, D] of pixels [B, H, W, 3], RGB, 0..255. Its weights are frozen."""

    def __init__(self, folder: str) -> None:
        super().__init__(trainable=False)
        if hasattr(keras.layers, "TFSMLayer"):  # Keras 3
            self.model = keras.layers.TFSMLayer(folder, call_endpoint="serving_default", trainable=False)
        else:
            self.model = tf.saved_model.load(folder)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Leaves out the confidence and the variance."""
        return self.model(images)["embedding"]


def main() -> None:
    """Prints how many of its training images the classifier names correctly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saved_model", help="the folder that urfr export wrote")
    parser.add_argument("faces", help="a folder with one folder per person")
    args = parser.parse_args()

    model = urfr_tf.load(args.saved_model)
    settings = CropSettings(size=model.aligned_size, align=model.alignment)
    photographs = list(crop_photographs(map(str, sorted(Path(args.faces).glob("*/*"))), settings))
    found = [photograph for photograph in photographs if photograph.crop is not None]
    crops = np.stack([photograph.crop for photograph in found]).astype(np.float32)
    people, labels = np.unique([Path(one.path).parent.name for one in found], return_inverse=True)

    head = [keras.layers.Rescaling(20.0), keras.layers.Dense(len(people), "softmax")]
    classifier = keras.Sequential([keras.layers.Input(crops.shape[1:]), SavedModel(model.path), *head])
    classifier.compile(optimizer=keras.optimizers.Adam(0.05), loss="sparse_categorical_crossentropy")
    classifier.fit(crops, labels, epochs=10, batch_size=16, verbose=0)
    guesses = classifier.predict(crops, verbose=0).argmax(-1)
    print(f"{len(people)} people, {np.sum(guesses == labels)} of {len(labels)} images named correctly")


if __name__ == "__main__":
    main()
