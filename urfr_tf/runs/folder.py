"""What a run folder holds besides weights: the resolved configuration, its origin, and the log.

config.yaml   the resolved configuration      run.json   versions, seed, commit, command, data
log.csv       one row an epoch                checkpoints/  tensorboard/  inference.weights.h5
"""

import csv
import io
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from urfr_tf import __version__
from urfr_tf.config.load_config import read_run_config, to_yaml
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_json, write_text
from urfr_tf.system.cores import count_cores

WEIGHTS = "inference.weights.h5"
# A finished or interrupted run may go on longer or elsewhere; anything else would be another run.
_MAY_CHANGE = (
    "train.epochs",
    "train.keep_checkpoints",
    "train.checkpoint_steps",
    "train.tensorboard",
    "runtime.",
)


def versions() -> dict[str, str]:
    """Versions of what a number depends on."""
    names = (
        "tensorflow",
        "keras",
        "tensorflow-addons",
        "tf-models-official",
        "numpy",
        "opencv-python-headless",
    )
    found = {"urfr_tf": __version__, "python": platform.python_version(), "machine": machine()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def machine() -> str:
    """Processor model and number of cores, as far as the system tells."""

    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {count_cores()} cores"


def git_commit() -> str:
    """The commit of this code, with `+changes` where the tree is dirty; `unknown` outside git."""
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


def open_run(run_dir: Path, config: Experiment, facts: dict[str, Any]) -> None:
    """Creates a run folder, or makes sure that the one there is the same run.

    Args:
        run_dir: the folder.
        config: the resolved configuration.
        facts: what else run.json keeps (classes, images, steps).

    Raises:
        UrfrError: the folder belongs to another configuration; the first key that differs is named.
    """
    before: dict[str, object] = {}
    after = flatten(config.as_dict())
    if (run_dir / "config.yaml").exists():
        before = flatten(read_run_config(run_dir).as_dict())
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) and not key.startswith(_MAY_CHANGE):
                raise UrfrError(
                    f"{run_dir} holds a run with {key}: {before.get(key)}, but {after.get(key)} was asked for; "
                    "choose another --run-dir or the same configuration"
                )
    # A file that says the same stays byte for byte: the model's fingerprint is over it, and old keys may be in it.
    if before != after:
        write_text(run_dir / "config.yaml", to_yaml(config))
    write_json(
        run_dir / "run.json",
        {
            "versions": versions(),
            "seed": config.seed,
            "commit": git_commit(),
            "command": " ".join(sys.argv),
            **facts,
        },
    )


def refuse_other_run(out: Path, kind: str, name: str, value: str, what: str) -> None:
    """Makes sure that a command which writes a run writes into a new folder, or over its own work.

    Args:
        out: the folder.
        kind, name, value: run.json of its own work says so: {kind: {name: value}}.
        what: that work in words, for the message.

    Raises:
        UrfrError: `out` is a file, or holds something else.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise UrfrError(f"expected a folder for the run at {out}, but it is a file")
    if not any(out.iterdir()):
        return
    facts = read_json(out / "run.json") if (out / "run.json").is_file() else {}
    found = facts.get(kind) if isinstance(facts, dict) else None
    if not isinstance(found, dict) or found.get(name) != value:
        raise UrfrError(f"{out} is not empty and holds no {what}; choose another --out")


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat


class EpochLog:
    """log.csv: one row an epoch, rewritten whole, with the rows of a resumed run cut to what counts."""

    def __init__(self, path: Path, finished_epochs: int) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            with open(path, encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= finished_epochs]

    def add(self, row: dict[str, Any]) -> None:
        """Appends one epoch; new columns are allowed."""
        self.rows.append(row)
        columns = list(dict.fromkeys(key for each in self.rows for key in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
