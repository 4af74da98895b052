"""Writes outputs.npz with the code of commit 3b28f99; README.md in this folder says when to run it.

It calls the names of that commit (`with_norm`), not those of today.
"""

from pathlib import Path

import cv2
import numpy as np

import urfr_tf

PATHS = sorted(Path("people").glob("person_*/[01].png"))
MODELS = {
    "run": "run",
    "saved_model": "export/saved_model/1",
    "tflite": "export/model.tflite",
    "resumed": "run3",
    "mobilefacenet": "mobile",
}

images = np.stack([cv2.imread(str(path))[:, :, ::-1] for path in PATHS])
images_64 = np.stack([cv2.resize(image, (64, 64)) for image in images])
arrays = {"images": images, "images_64": images_64}
for name, path in MODELS.items():
    outputs = urfr_tf.load(path).with_norm(images_64 if name == "mobilefacenet" else images)
    arrays |= {f"{name}/{key}": values for key, values in outputs.items()}
np.savez_compressed("outputs.npz", **arrays)
