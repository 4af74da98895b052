"""The folder of a run: the resolved configuration and the facts that are written when it is opened.

config.yaml   the resolved configuration      run.json   versions, seed, commit, command, data
log.csv       one row an epoch                checkpoints/  tensorboard/  inference.weights.h5
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from urfr_tf.config.load_config import read_run_config, to_yaml
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_json, write_text
from urfr_tf.runs.inputs import START, TRAIN, VALIDATION, Inputs, is_start_needed
from urfr_tf.runs.network_weights import WEIGHTS
from urfr_tf.runs.origin import collect_versions, find_git_commit
from urfr_tf.system.extras import find_version
from urfr_tf.system.folder_lock import LOCK
from urfr_tf.system.terminal import join_command

INPUTS = "inputs"
"""Key of the digests of the inputs in run.json."""
# A finished or interrupted run may go on longer or elsewhere; anything else would be another run.
_MAY_CHANGE = (
    "train.epochs",
    "train.keep_checkpoints",
    "train.checkpoint_steps",
    "train.tensorboard",
    "runtime.",
)
# Files that say what a folder is, if it is no run.
_OTHERS = {"manifest.json": "shards", "saved_model.pb": "a SavedModel"}


def open_run(run_dir: Path, config: Experiment, facts: Mapping[str, object]) -> None:
    """Creates a run folder, or makes sure that the one there is the same run.

    Args:
        run_dir: the folder.
        config: the resolved configuration.
        facts: what else run.json keeps, for instance classes, images, steps.

    Raises:
        UrfrError: the folder belongs to another configuration; the first key that differs is named.
    """
    check_run(run_dir, config)
    write_run(run_dir, config, collect_facts(config, facts))


def has_begun(run_dir: Path) -> bool:
    """Returns whether a run has taken a folder: it has weights or a checkpoint.

    A configuration alone is left by a training that was stopped before it had anything to keep.
    """
    return (run_dir / WEIGHTS).is_file() or any((run_dir / "checkpoints").glob("step-*.index"))


def check_run(run_dir: Path, config: Experiment, inputs: Inputs | None = None) -> Experiment | None:
    """Makes sure that a folder is free for a run, or holds a part of the same run.

    Args:
        run_dir: the folder.
        config: the resolved configuration.
        inputs: what the run reads; None does not look at it.

    Returns:
        The configuration of the run that has begun there; None for a new run.

    Raises:
        UrfrError: the folder holds something else, or a run with another configuration or other data.
    """
    for name, what in _OTHERS.items():
        if (run_dir / name).is_file():
            raise UrfrError(f"expected a folder for a run, but {run_dir} holds {what}; choose another one")
    if not (run_dir / "config.yaml").exists():
        return None
    before, facts = read_run_config(run_dir), _read_facts(run_dir)
    if not has_begun(run_dir) and facts:
        return None
    digests, known = inputs.digests if inputs else {}, facts.get(INPUTS)
    known = known if isinstance(known, dict) else {}
    moved = {key for key in (TRAIN, VALIDATION, START) if key in known and known[key] == digests.get(key)}
    for key, old, new in list_changes(before, config):
        if not key.startswith(_MAY_CHANGE) and key not in moved:
            raise UrfrError(
                f"{run_dir} holds a run with {key}: {old}, but {new} was "
                "requested; choose another --run-dir or the same configuration"
            )
    if inputs is not None:
        _check_data(run_dir, config, inputs, facts, known)
    return before


def _check_data(
    run_dir: Path, config: Experiment, inputs: Inputs, facts: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    """Refuses other data than a run began with."""
    for key, digest in inputs.digests.items():
        if known.get(key, digest) != digest and (key != START or is_start_needed(config)):
            setting, _, beside = key.partition("/")
            path = config.initial_weights if key == START else getattr(config.data, setting.split(".")[1])
            what = f"{setting}: {path}" + (f" (its {beside})" if beside else "")
            raise UrfrError(
                f"the run in {run_dir} began with other data: expected {what} with the SHA-256 "
                f"{str(known[key])[:12]}..., but it has {digest[:12]}... now; put back what was there, "
                "or choose another --run-dir"
            )
    # Runs of earlier versions have no digest, but the numbers of people and images.
    for name, now in (("classes", inputs.manifest.classes), ("images", inputs.manifest.images)):
        then = facts.get(name)
        if TRAIN not in known and isinstance(then, int) and then != now:
            raise UrfrError(
                f"the run in {run_dir} began with other data: expected {then} {name} in {TRAIN}: "
                f"{config.data.train}, but it holds {now}; put back what was there, "
                "or choose another --run-dir"
            )


def collect_facts(config: Experiment, facts: Mapping[str, object]) -> dict[str, object]:
    """Returns what run.json says of a run: where it comes from, and `facts`."""
    return {
        "versions": collect_versions(),
        "seed": config.seed,
        "commit": find_git_commit(),
        "command": join_command(sys.argv),
        **facts,
    }


def write_run(run_dir: Path, config: Experiment, facts: Mapping[str, object]) -> None:
    """Writes config.yaml and run.json of a run that `check_run` let through.

    Digests of inputs that are in run.json already stay: they are of what the run began with.

    Args:
        run_dir: the folder.
        config: the resolved configuration.
        facts: see `collect_facts`.

    Raises:
        UrfrError: the disk is full or the folder cannot be written.
    """
    # A file that says the same stays as it is: it may have old keys, and the fingerprint covers its bytes.
    same = (run_dir / "config.yaml").exists() and not any(list_changes(read_run_config(run_dir), config))
    known = _read_facts(run_dir).get(INPUTS) if has_begun(run_dir) else None
    if not same:
        write_text(run_dir / "config.yaml", to_yaml(config))
    digests = facts.get(INPUTS)
    if isinstance(digests, dict) and isinstance(known, dict):
        facts = {**facts, INPUTS: {**digests, **known}}
    write_json(run_dir / "run.json", facts)


def read_inputs(run_dir: Path) -> dict[str, str]:
    """Returns the digests of what a run began with; empty for a run of an earlier version."""
    known = _read_facts(run_dir).get(INPUTS)
    return known if isinstance(known, dict) else {}


def name_other_tensorflow(run_dir: Path) -> str:
    """Says which TensorFlow wrote a run, for a message that ends with it; empty if this one did."""
    versions = _read_facts(run_dir).get("versions")
    before = versions.get("tensorflow") if isinstance(versions, dict) else None
    now = find_version("tensorflow")
    return f"; TensorFlow {before} wrote it, and this is {now}" if before not in (None, now) else ""


def find_licence(run_dir: Path) -> str | None:
    """Returns the licence of the file that a run was imported from; None where it is not known.

    Raises:
        UrfrError: run.json is damaged.
    """
    imported = _read_facts(run_dir).get("imported")
    licence = imported.get("licence") if isinstance(imported, dict) else None
    return licence if isinstance(licence, str) else None


def list_changes(before: Experiment, after: Experiment) -> list[tuple[str, object, object]]:
    """Returns the keys that differ, sorted, with their values before and after."""
    old, new = flatten_tree(before.as_dict()), flatten_tree(after.as_dict())
    keys = sorted(old.keys() | new.keys())
    return [(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


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
    if all(path.name == LOCK for path in out.iterdir()):
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


def _read_facts(run_dir: Path) -> dict[str, Any]:
    """Reads run.json; empty where there is none, or where it is of another program."""
    path = run_dir / "run.json"
    facts = read_json(path) if path.is_file() else None
    return facts if isinstance(facts, dict) else {}
