"""Fingerprints: SHA-256 digests of the files that the outputs of a model depend on."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from urfr_tf.files import file_sha256
from urfr_tf.runs.network_weights import WEIGHTS


def fingerprint_files(paths: Iterable[Path], root: Path) -> str:
    """Digests files with their names.

    Args:
        paths: the files, in any order.
        root: the folder that their names are relative to.

    Returns:
        SHA-256 (hex) over the relative names and the contents, in the order of the names.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def fingerprint_run(run: Path) -> str:
    """Digests the configuration and the weights of a run folder; SHA-256 (hex)."""
    return fingerprint_files([run / "config.yaml", run / WEIGHTS], run)


def fingerprint_saved_model(folder: Path) -> str:
    """Digests a SavedModel without its assets.extra, which no output depends on; SHA-256 (hex)."""
    files = [path for path in folder.rglob("*") if path.is_file() and "assets.extra" not in path.parts]
    return fingerprint_files(files, folder)
