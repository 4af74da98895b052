"""The memory that a training has, whether a plan fits into it, and which one setting would make it fit."""

import dataclasses
import subprocess
from typing import TypeAlias

from urfr_tf.config.load_config import from_dict
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.planning.estimate import Plan, plan_training
from urfr_tf.planning.facts import DataFacts
from urfr_tf.system import memory

# A tenth is left to the rest of the machine.
_SHARE = 0.9
_SAMPLES = 8192

# Dotted keys of the configuration -> other values.
Override: TypeAlias = dict[str, int | bool | str]


@dataclasses.dataclass(frozen=True)
class MemoryBudget:
    """Memory for a training.

    Attributes:
        size: bytes; None where the system does not tell.
        per_replica: whether every replica has so much on a device of its own. Otherwise the replicas share it
            with the process.
    """

    size: int | None
    per_replica: bool

    def needed(self, plan: Plan) -> int:
        """Returns the bytes of a plan that must fit into `size`."""
        if self.per_replica:
            return plan.memory.of_replica()
        return plan.memory.of_process(plan.replicas_per_worker)

    def fits(self, plan: Plan) -> bool:
        """Returns whether there is enough; True where the size is not known."""
        return self.size is None or self.needed(plan) <= self.size * _SHARE


def detect_budget(gpus: int, size: float | None = None) -> MemoryBudget:
    """Returns what this machine has, or devices of `size` GiB each."""
    if size is not None:
        return MemoryBudget(int(size * 2**30), True)
    if gpus:
        return MemoryBudget(_smallest_gpu_bytes(), True)
    free = memory.available()
    # What the planner itself holds will be free again.
    return MemoryBudget(None if free is None else free + memory.resident(), False)


def check_fit(plan: Plan, budget: MemoryBudget) -> None:
    """Refuses a plan that cannot fit.

    Raises:
        UrfrError: it does not fit. The message names the settings each of which alone would make it fit.
    """
    if budget.fits(plan) or budget.size is None:
        return
    where = "each of the devices" if budget.per_replica else "this machine"
    problem = (
        f"{plan.config.name} needs about {memory.spell(budget.needed(plan))}, but {where} can give "
        f"{memory.spell(budget.size * _SHARE)}"
    )
    cures = find_cures(plan, budget)
    if not cures:
        raise UrfrError(f"{problem}; no single setting (batch size, head, precision) would make it fit")
    raise UrfrError(f"{problem}; what would fit is {' or '.join(cures)}")


def find_cures(plan: Plan, budget: MemoryBudget) -> list[str]:
    """Returns the changes that would make a plan fit, as `key: value`, the least change of each key."""
    cures: list[str] = []
    for override in alternatives(plan.config, plan.data, plan.replicas):
        key = next(iter(override))
        if any(key in cure for cure in cures) or cannot_fit(plan, budget, override):
            continue
        other = plan_training(apply_override(plan.config, override), plan.data, plan.replicas, plan.workers)
        if budget.fits(other):
            cures.append(", ".join(f"{key}: {value}" for key, value in override.items()))
    return cures


def cannot_fit(plan: Plan, budget: MemoryBudget, override: Override) -> bool:
    """Returns whether the feature maps that a micro-batch must keep are too large already.

    Such an override need not be planned: to build and trace a network of 100 layers takes ten seconds.
    """
    if budget.size is None:
        return False
    batch = int(override.get("data.batch_size", plan.config.data.batch_size))
    micro_batch = batch // plan.replicas // plan.config.train.accumulate
    certain = plan.kept_per_image * micro_batch
    if "runtime.precision" in override:
        certain //= 2
    return certain * (1 if budget.per_replica else plan.replicas_per_worker) > budget.size * _SHARE


def alternatives(config: Experiment, data: DataFacts, replicas: int) -> list[Override]:
    """Returns changes worth a try, each by itself; of one key the least change first."""
    overrides: list[Override] = []
    head = config.head
    if config.task == "recognition" and config.runtime.strategy in ("off", "mirrored"):
        if replicas > 1 and not head.sharded:
            overrides.append({"head.sharded": True})
        if head.sample_rate == 1 and not head.sample_count and (data.classes or 0) > _SAMPLES:
            overrides.append({"head.sample_count": _SAMPLES})
    if config.runtime.precision == "float32":
        overrides.append({"runtime.precision": "mixed_bfloat16"})
    batch = config.data.batch_size
    smallest = replicas * (config.uncertainty.images_per_identity if config.task == "uncertainty" else 1)
    while batch % 2 == 0 and (batch // 2) % (smallest * config.train.accumulate) == 0:
        batch //= 2
        overrides.append({"data.batch_size": batch})
    return overrides


def apply_override(config: Experiment, override: Override) -> Experiment:
    """Returns a configuration with other values at some dotted keys."""
    tree = config.as_dict()
    for key, value in override.items():
        group, name = key.split(".")
        tree[group] = {**tree[group], name: value}
    return from_dict(tree, "urfr plan")


def _smallest_gpu_bytes() -> int | None:
    """Returns the memory of the smallest GPU by nvidia-smi, or None where it does not tell."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
        return min(int(line) for line in output.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
