"""Where the user's cache is: what is made once for all projects of a user."""

import os
import sys
from pathlib import Path

from urfr_tf.errors import UrfrError

HOME = "URFR_HOME"
"""The environment variable that names another folder."""


def cache_folder() -> Path:
    """Names the folder: URFR_HOME, or `urfr` in the platform's cache.

    Raises:
        UrfrError: the user has no home folder.
    """
    if home := os.environ.get(HOME):
        return Path(home)
    try:
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "urfr"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "urfr"
    except RuntimeError as error:
        raise UrfrError(f"expected a home folder for the cache: set {HOME} to a folder") from error
