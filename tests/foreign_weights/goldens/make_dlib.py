"""Writes dlib.json: what dlib itself says of a made-up picture.

Needs dlib, in an environment of its own: pip install dlib-bin==20.0.1 'numpy<2'.
Usage: python make_dlib.py dlib_face_recognition_resnet_model_v1.dat > dlib.json
"""

import json
import sys

import numpy as np


def picture():
    """uint8 [150, 150, 3], RGB: waves, different in each channel."""
    row, column, channel = np.mgrid[0:150, 0:150, 0:3]
    waves = 60 * np.sin(row / 7 + channel) + 50 * np.cos(column / 11 - channel)
    return (127.5 + waves + 10 * np.sin(row * column / 97)).clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    import dlib

    network = dlib.face_recognition_model_v1(sys.argv[1])
    json.dump(
        {"dlib": dlib.__version__, "descriptor": list(network.compute_face_descriptor(picture()))}, sys.stdout
    )
