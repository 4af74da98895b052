"""Where a number comes from: versions of the libraries, the machine, and the commit of this code."""

import os
import platform
import re
import subprocess
from pathlib import Path

from urfr_tf import __version__
from urfr_tf.system.extras import DISTRIBUTIONS, find_version
from urfr_tf.system.processor import describe_machine

_OWN_NAME = re.compile(r'^name *= *"urfr[-_]tf"', re.MULTILINE)


def collect_versions() -> dict[str, str]:
    """Collects the versions of what a number depends on, and the machine."""
    versions = {"urfr_tf": __version__, "python": platform.python_version(), "machine": describe_machine()}
    versions.update((name, find_version(name) or "missing") for name in DISTRIBUTIONS)
    return versions


def find_git_commit() -> str:
    """Finds the commit of this code, with `+changes` where the tree is dirty.

    It is `unknown` where the package does not lie in the repository of this project, for instance in a
    virtual environment inside another one.
    """
    package = Path(__file__).resolve().parents[1]
    try:
        if not _is_own_repository(package):
            return "unknown"
        commit = _git(package, "rev-parse", "HEAD").decode("ascii").strip()
        changed = _git(package, "status", "--porcelain", "--untracked-files=no")
    except (OSError, ValueError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+changes" if changed else "")


def _is_own_repository(package: Path) -> bool:
    """Returns whether the package is committed at the top of a repository of this project."""
    top = Path(os.fsdecode(_git(package, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    if not os.path.samefile(top, package.parent):
        return False
    _git(package, "ls-files", "--error-unmatch", "--", "__init__.py")
    return _OWN_NAME.search((top / "pyproject.toml").read_text(encoding="utf-8")) is not None


def _git(folder: Path, *words: str) -> bytes:
    # In a hook of another repository, these variables lead git there.
    others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", *words]
    return subprocess.run(command, cwd=folder, env=others, capture_output=True, check=True, timeout=10).stdout
