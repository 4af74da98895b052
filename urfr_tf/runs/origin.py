"""Where a number comes from: versions of the libraries, the machine, and the commit of this code."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from urfr_tf import __version__
from urfr_tf.system.processor import describe_machine


def collect_versions() -> dict[str, str]:
    """Collects the versions of what a number depends on, and the machine."""
    names = (
        "tensorflow",
        "keras",
        "tensorflow-addons",
        "tf-models-official",
        "numpy",
        "opencv-python-headless",
    )
    versions = {"urfr_tf": __version__, "python": platform.python_version(), "machine": describe_machine()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions


def find_git_commit() -> str:
    """Finds the commit of this code, with `+changes` where the tree is dirty; `unknown` outside git."""
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+changes" if changed else "")
