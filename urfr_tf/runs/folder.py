"""The folder of a run: the resolved configuration and the facts that are written when it is opened.

config.yaml   the resolved configuration      run.json   versions, seed, commit, command, data
log.csv       one row an epoch                checkpoints/  tensorboard/  inference.weights.h5
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from urfr_tf.config.load_config import read_run_config, to_yaml
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_json, write_text
from urfr_tf.runs.origin import collect_versions, find_git_commit
from urfr_tf.system.terminal import join_command

# A finished or interrupted run may go on longer or elsewhere; anything else would be another run.
_MAY_CHANGE = (
    "train.epochs",
    "train.keep_checkpoints",
    "train.checkpoint_steps",
    "train.tensorboard",
    "runtime.",
)


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
            "command": join_command(sys.argv),
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
