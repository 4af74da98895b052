"""The planned memory against the peak of a real training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from plans import RATE, TREE

from urfr_tf.bench.photographs import write_photographs
from urfr_tf.cli import main
from urfr_tf.system import memory

# Its first line is what `urfr plan` begins with in a new interpreter, its last line the peak; both in bytes.
TRAIN = """
import sys
from urfr_tf.cli import main
import urfr_tf.planning.estimate, urfr_tf.planning.facts
from urfr_tf.system import memory
print(memory.resident())
assert main(sys.argv[1:]) == 0
print(memory.peak())
"""
AIM = 0.15
pytestmark = pytest.mark.timeout(3000)  # ir50 in bfloat16, on a machine that does other things too
_PLAIN = {
    "optimizer": {**RATE, "clip_norm": 5.0},
    "train": {"epochs": 1, "steps_per_epoch": 3, "tensorboard": False},
    "runtime": TREE["runtime"],
}
_FACES = {"augment": {"blur": 0.3, "occlusion": 0.3, "pose": 0.3}, "decorrelation": {"enabled": True}}
MEASURED = {
    "small_table1_3_0": {
        **_PLAIN,
        **_FACES,
        "data": {"batch_size": 64},
        "model": {"backbone": "ir18", "width": 0.25, "input_size": 64},
    },
    "ir18_100": {
        **_PLAIN,
        **_FACES,
        "data": {"batch_size": 32},
        "model": {"backbone": "ir18", "input_size": 100},
    },
    "ir50_bfloat16": {
        **_PLAIN,
        "data": {"batch_size": 32},
        "model": {"backbone": "ir50", "input_size": 112},
        "runtime": {"precision": "mixed_bfloat16"},
    },
    "many_dense": {
        **_PLAIN,
        "data": {"batch_size": 64},
        "model": {"backbone": "ir18", "width": 0.25, "input_size": 64},
    },
    "many_sampled": {
        **_PLAIN,
        "data": {"batch_size": 64},
        "model": {"backbone": "ir18", "width": 0.25, "input_size": 64},
        "head": {"sample_count": 8192},
    },
}
IDENTITIES = {"many_dense": 200_000, "many_sampled": 200_000}
_SLOW = [name for name in MEASURED if name != "small_table1_3_0"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name", ["small_table1_3_0", *[pytest.param(name, marks=pytest.mark.slow) for name in _SLOW]]
)
def test_the_peak_of_a_real_training(name, tmp_path, monkeypatch, capsys):
    """`urfr train` on generated photographs, with its input, its three steps and its checkpoint; VmHWM."""
    side = MEASURED[name]["model"]["input_size"]
    shards = tmp_path / "shards"
    shards.mkdir()
    write_photographs(shards, 256, side + 8)
    _add_identities(shards, IDENTITIES.get(name, 0))
    tree = {**MEASURED[name], "name": name}
    tree["data"] = {**tree["data"], "train": str(shards)}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tree))
    # Not forked: what its own imports take is a part of the plan.
    lines = _run(["-c", TRAIN, "train", "--config", config, "--run-dir", tmp_path / "run"])
    peak = int(lines[-1])
    monkeypatch.setattr(memory, "resident", lambda: int(lines[0]))
    assert main(["plan", "--config", str(config), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out.splitlines()[-1])["needed"]
    assert abs(expected / peak - 1) < AIM, f"planned {expected >> 20} MiB, measured {peak >> 20} MiB"
    print(f"{name}: planned {expected >> 20} MiB, measured {peak >> 20} MiB, {expected / peak - 1:+.1%}")


def _run(words):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.splitlines()


def _add_identities(folder: Path, count: int) -> None:
    """People without images behind those who have some."""
    manifest = json.loads((folder / "manifest.json").read_text())
    have = manifest["classes"]
    if count > have:
        with open(folder / "classes.tsv", "a") as file:
            file.writelines(f"{label}\tnobody_{label}\t0\n" for label in range(have, count))
        (folder / "manifest.json").write_text(json.dumps({**manifest, "classes": count}))
