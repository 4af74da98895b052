"""What a run folder holds besides weights: the resolved configuration, its origin, and the log.

config.yaml   the resolved configuration      run.json   versions, seed, commit, command, data
log.csv       one row an epoch                checkpoints/  tensorboard/  inference.weights.h5
"""

import csv
import io
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from urfr_tf import __version__
from urfr_tf.config.load_config import read_run_config, to_yaml
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_json, write_text
from urfr_tf.system.cores import count_cores

# A finished or interrupted run may go on longer or elsewhere; anything else would be another run.
_MAY_CHANGE = (
    "train.epochs",
    "train.keep_checkpoints",
    "train.checkpoint_steps",
    "train.tensorboard",
    "runtime.",
)


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


def describe_machine() -> str:
    """Names the processor model and the number of cores, as far as the system knows them."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {count_cores()} cores"


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


def open_run(run_dir: Path, config: Experiment, facts: Mapping[str, object]) -> None:
    """Creates a run folder, or makes sure that the one there is the same run.

    Args:
        run_dir: the folder.
        config: the resolved configuration.
        facts: what else run.json keeps, for instance classes, images, steps.

    Raises:
        UrfrError: the folder belongs to another configuration; the first key that differs is named.
    """
    before: dict[str, object] = {}
    after = flatten_tree(config.as_dict())
    if (run_dir / "config.yaml").exists():
        before = flatten_tree(read_run_config(run_dir).as_dict())
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) and not key.startswith(_MAY_CHANGE):
                raise UrfrError(
                    f"{run_dir} holds a run with {key}: {before.get(key)}, but {after.get(key)} was "
                    "requested; choose another --run-dir or the same configuration"
                )
    # A file that says the same stays as it is: it may have old keys, and the fingerprint covers its bytes.
    if before != after:
        write_text(run_dir / "config.yaml", to_yaml(config))
    write_json(
        run_dir / "run.json",
        {
            "versions": collect_versions(),
            "seed": config.seed,
            "commit": find_git_commit(),
            "command": " ".join(sys.argv),
            **facts,
        },
    )


def refuse_other_run(out: Path, kind: str, name: str, value: str, what: str) -> None:
    """Makes sure that a command which writes a run writes into a new folder, or over its earlier result.

    Args:
        out: the folder.
        kind: key in run.json that the command writes.
        name: key below `kind`.
        value: what {kind: {name: value}} is in the run.json of an earlier result.
        what: that result in words, for the message.

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
    work = facts.get(kind) if isinstance(facts, dict) else None
    if not isinstance(work, dict) or work.get(name) != value:
        raise UrfrError(f"{out} is not empty and holds no {what}; choose another --out")


def flatten_tree(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Turns nested dictionaries into one with dotted keys, and tuples into lists."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten_tree(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat


class EpochLog:
    """log.csv: one row an epoch. The file is rewritten as a whole.

    Args:
        path: the file.
        finished_epochs: what a resumed run has finished; rows of later epochs are dropped.
    """

    def __init__(self, path: Path, finished_epochs: int) -> None:
        self.path = path
        self.rows: list[Mapping[str, object]] = []
        if path.exists():
            with open(path, encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= finished_epochs]

    def add(self, row: Mapping[str, object]) -> None:
        """Appends one epoch; new columns are allowed."""
        self.rows.append(row)
        columns = list(dict.fromkeys(key for each in self.rows for key in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
