"""The network that a model is where none is named: dlib's, imported once into the user's cache."""

import argparse
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error
from urfr_tf.system.cache import HOME, cache_folder
from urfr_tf.system.extras import name_missing_extra
from urfr_tf.system.folder_lock import lock_folder

DEFAULT = "default"
"""What stands for it where the path of a model or of a run is expected."""
WORTH = "98.2 % on LFW (measured by us); stronger networks: urfr import"
_THRESHOLD = Path(__file__).with_name("default_threshold.json")
_PART = ".part-"


def add_model_option(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Adds `--model`, which is the default network where it is left out.

    Args:
        parser: of a command.
        several: whether more than one may be given; the option is a list then.
    """
    rows = "; several, NAME=MODEL each, give a row each" if several else ""
    parser.add_argument(
        "--model",
        nargs="+" if several else None,
        default=[DEFAULT] if several else DEFAULT,
        metavar="MODEL",
        help=f"a run folder, a SavedModel folder or a .tflite file{rows} (default: the network of the extra "
        f"default-network, {WORTH})".replace("%", "%%"),
    )


def find_model(path: str | os.PathLike[str]) -> Path:
    """Gives the path of a model; for the string `default` the run folder of the default network.

    It is imported at its first use, and its licence is printed then. A folder of that name is `./default`.

    Raises:
        UrfrError: the default network is asked for, and it is not installed or cannot be stored.
    """
    if path != DEFAULT:
        return Path(path)
    with name_missing_extra("the default network"):
        return _find_default()


class _Run(NamedTuple):
    kind: str
    fingerprint: str


def _find_default() -> Path:
    # A name for each file of weights and each threshold, so that another version does not find this one's.
    from urfr_tf.foreign_weights.dlib_file import SHA256

    name = hashlib.sha256(SHA256.encode() + _THRESHOLD.read_bytes()).hexdigest()[:12]
    cache = cache_folder()
    run = cache / f"{DEFAULT}-{name}"
    if _is_complete(run):
        return run
    _check_installation()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock_folder(cache, "another import of the default network", wait=True))
        except UrfrError as error:
            raise _name_home(error) from error
        if not _is_complete(run):
            _import_default(cache, run)
    return run


def _check_installation() -> None:
    from urfr_tf.runs.import_dlib import find_dlib_file

    try:
        find_dlib_file()
    except UrfrError as error:
        raise UrfrError(
            f"no model is named, and the default network is not installed: {error}, or name a model; the "
            f"default network has {WORTH}"
        ) from error


def _name_home(error: UrfrError) -> UrfrError:
    return UrfrError(f"{error}; {HOME} names another folder for the default network")


def _is_complete(run: Path) -> bool:
    from urfr_tf.runs.network_weights import WEIGHTS
    from urfr_tf.runs.thresholds import threshold_path

    return all(path.is_file() for path in (run / "config.yaml", run / WEIGHTS, threshold_path("run", run)))


def _import_default(cache: Path, run: Path) -> None:
    """Writes the run folder next to its place and renames it; the lock is held."""
    from urfr_tf.files import read_json
    from urfr_tf.foreign_weights.dlib_file import LICENCE
    from urfr_tf.runs.fingerprints import fingerprint_run
    from urfr_tf.runs.import_dlib import import_dlib
    from urfr_tf.runs.thresholds import threshold_path, write_threshold

    try:
        for left in cache.glob(f"{_PART}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_PART, dir=cache) as scratch:
            made = Path(scratch) / "run"
            import_dlib(None, made)
            point = read_json(_THRESHOLD)
            model = _Run("run", fingerprint_run(made))
            write_threshold(threshold_path("run", made), model, point["score"], point["protocol"], point)
            if run.exists():  # and incomplete
                os.rename(run, Path(scratch) / "old")
            os.rename(made, run)
    except OSError as error:
        raise _name_home(disk_error(error, cache)) from error
    print(
        f"The default network is dlib's face network: {WORTH}. It is now in {run}, with a threshold for a "
        f"FAR of {point['far']:g} that was calibrated on LFW. {LICENCE[0].upper()}{LICENCE[1:]}.",
        file=sys.stderr,
    )
