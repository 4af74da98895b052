"""Whether a plan fits, and which one setting would make it fit."""

import dataclasses
import subprocess
from typing import Any

from urfr_tf.config.load_config import from_dict
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.planning.estimate import Data, Plan, plan
from urfr_tf.system import memory

# A tenth is left to the rest of the machine.
_SHARE = 0.9
_SAMPLES = 8192


@dataclasses.dataclass(frozen=True)
class Room:
    """Memory for a training.

    Attributes:
        size: bytes; None where the system does not tell.
        each: whether every replica has so much on a device of its own; otherwise they share it with the
            process.
    """

    size: int | None
    each: bool

    def needed(self, planned: Plan) -> int:
        """Bytes of a plan that must fit into `size`."""
        if self.each:
            return planned.memory.of_replica()
        return planned.memory.of_process(planned.replicas // planned.workers)

    def fits(self, planned: Plan) -> bool:
        """Whether there is enough; True where the size is not known."""
        return self.size is None or self.needed(planned) <= self.size * _SHARE


def room_here(gpus: int, size: float | None = None) -> Room:
    """What this machine has, or devices of `size` GiB each."""
    if size is not None:
        return Room(int(size * 2**30), True)
    if gpus:
        return Room(_gpu_bytes(), True)
    free = memory.available()
    # What the planner itself holds will be free again.
    return Room(None if free is None else free + memory.resident(), False)


def check(planned: Plan, room: Room) -> None:
    """Refuses what cannot fit.

    Raises:
        UrfrError: it does not fit; the message names the settings each of which alone would make it fit.
    """
    if room.fits(planned) or room.size is None:
        return
    where = "each of the devices" if room.each else "this machine"
    problem = (
        f"{planned.config.name} needs about {memory.spell(room.needed(planned))}, but {where} can give "
        f"{memory.spell(room.size * _SHARE)}"
    )
    cures: list[str] = []
    for override in alternatives(planned.config, planned.data, planned.replicas):
        name = next(iter(override))
        if any(name in found for found in cures) or hopeless(planned, room, override):
            continue
        other = plan(changed(planned.config, override), planned.data, planned.replicas, planned.workers)
        if room.fits(other):
            cures.append(", ".join(f"{key}: {value}" for key, value in override.items()))
    if not cures:
        raise UrfrError(f"{problem}; no single setting (batch size, head, precision) would make it fit")
    raise UrfrError(f"{problem}; what would fit is {' or '.join(cures)}")


def hopeless(planned: Plan, room: Room, override: dict[str, Any]) -> bool:
    """Whether the feature maps that a micro-batch must keep are too large already, so that it need not be planned.

    Building and tracing a network takes seconds, of 100 layers ten.
    """
    if room.size is None:
        return False
    config = planned.config
    batch = override.get("data.batch_size", config.data.batch_size)
    micro = batch // planned.replicas // config.train.accumulate
    certain = planned.kept_per_image * micro
    if "runtime.precision" in override:
        certain //= 2
    return certain * (1 if room.each else planned.replicas // planned.workers) > room.size * _SHARE


def alternatives(config: Experiment, data: Data, replicas: int) -> list[dict[str, Any]]:
    """Changes worth a try, each by itself: dotted keys -> values; of one key the least change first."""
    tried: list[dict[str, Any]] = []
    head = config.head
    if config.task == "recognition" and config.runtime.strategy in ("off", "mirrored"):
        if replicas > 1 and not head.sharded:
            tried.append({"head.sharded": True})
        if head.sample_rate == 1 and not head.sample_count and (data.classes or 0) > _SAMPLES:
            tried.append({"head.sample_count": _SAMPLES})
    if config.runtime.precision == "float32":
        tried.append({"runtime.precision": "mixed_bfloat16"})
    batch = config.data.batch_size
    least = replicas * (config.uncertainty.images_per_identity if config.task == "uncertainty" else 1)
    while batch % 2 == 0 and (batch // 2) % (least * config.train.accumulate) == 0:
        batch //= 2
        tried.append({"data.batch_size": batch})
    return tried


def changed(config: Experiment, override: dict[str, Any]) -> Experiment:
    """A configuration with other values at some dotted keys."""
    tree = config.as_dict()
    for key, value in override.items():
        group, name = key.split(".")
        tree[group] = {**tree[group], name: value}
    return from_dict(tree, "urfr plan")


def _gpu_bytes() -> int | None:
    """The memory of the smallest GPU, as nvidia-smi says."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
        return min(int(line) for line in said.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
