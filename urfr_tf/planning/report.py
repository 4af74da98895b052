"""A plan as lines for people and as JSON for programs."""

import dataclasses

from urfr_tf.errors import UrfrError
from urfr_tf.planning.estimate import Plan
from urfr_tf.planning.facts import worker_shard_bytes
from urfr_tf.planning.memory_budget import MemoryBudget
from urfr_tf.system.memory import spell as spell_bytes
from urfr_tf.training.description import describe_batch


def count_hours(plan: Plan, rate: float | None) -> float | None:
    """Returns the hours of training at so many images a second, or None where images or rate are not known.

    Raises:
        UrfrError: the rate is not above 0.
    """
    if rate is not None and not rate > 0:
        raise UrfrError(f"expected a --rate above 0 images a second, but got {rate}")
    return plan.images_seen / rate / 3600 if rate and plan.images_seen else None


def as_json(plan: Plan, budget: MemoryBudget, rate: float | None) -> dict[str, object]:
    """Returns the plan as one object, whose keys docs/explanation/planner.md lists.

    Memory is in bytes. Unknown values are null.
    """
    steps = plan.steps_per_epoch
    shard_bytes = worker_shard_bytes(plan.config, plan.data, plan.workers)
    return {
        "name": plan.config.name,
        "replicas": plan.replicas,
        "workers": plan.workers,
        "parameters": plan.parameters if plan.data.classes else None,
        "head_parameters": plan.head_parameters if plan.data.classes else None,
        "memory": {
            **dataclasses.asdict(plan.memory),
            "replica": plan.memory.of_replica(),
            "process": plan.memory.of_process(plan.replicas_per_worker),
        },
        "needed": budget.needed(plan),
        "available": budget.size,
        "fits": budget.fits(plan),
        "data": {**dataclasses.asdict(plan.data), "worker_shard_bytes": shard_bytes},
        "steps": steps * plan.config.train.epochs if steps else None,
        "images_seen": plan.images_seen,
        "hours": count_hours(plan, rate),
    }


def format_plan(plan: Plan, budget: MemoryBudget, rate: float | None) -> str:
    """Returns the plan in lines, which also name what is not known."""
    lines = [
        _title(plan),
        f"  {_parameters(plan)}",
        *_memory_lines(plan, budget),
        *_data_lines(plan),
        *_length_lines(plan, rate),
    ]
    return "\n".join(lines)


def _title(plan: Plan) -> str:
    config, classes = plan.config, plan.data.classes
    identities = "" if classes is None else f" of {classes:,} identities"
    return (
        f"{config.name}: {config.task}{identities} at {config.model.input_size} px, "
        f"{config.runtime.precision}, {plan.workers} worker(s), {describe_batch(config, plan.replicas)}"
    )


def _parameters(plan: Plan) -> str:
    if plan.data.classes is None:
        return f"{plan.parameters - plan.head_parameters:,} parameters without the head"
    return f"{plan.parameters:,} parameters, of the head {plan.head_parameters:,}"


def _memory_lines(plan: Plan, budget: MemoryBudget) -> list[str]:
    memory = plan.memory
    replica, process = "a replica", "the process"
    rows = [
        ("weights", memory.weights, replica),
        ("head", memory.head, replica),
        ("optimizer", memory.optimizer, replica),
        ("activations", memory.activations, replica),
        ("copy at a checkpoint", memory.checkpoint, replica),
        ("program", memory.base, process),
        ("inference copy", memory.inference_copy, process),
        ("input", memory.pipeline, process),
    ]
    whole = replica if budget.per_replica else f"{process}, {plan.replicas_per_worker} replica(s)"
    available = "unknown" if budget.size is None else spell_bytes(budget.size)
    rows.append(("peak", budget.needed(plan), f"{whole}; available: {available}"))
    return [_row(*row) for row in rows]


def _data_lines(plan: Plan) -> list[str]:
    data, lines = plan.data, []
    if data.classes is None:
        shards = plan.config.data.train or "data.train"
        lines.append(f"  unknown: identities and so the head; {shards} is not here (--classes C)")
    if data.shard_bytes is not None:
        lines.append(_row("shards", data.shard_bytes, f"{data.images:,} images"))
        share = worker_shard_bytes(plan.config, data, plan.workers)
        if share is not None and share != data.shard_bytes:
            lines.append(_row("shards of a worker", share, "at most"))
    return lines


def _row(name: str, size: int, note: str) -> str:
    return f"  {name:24} {spell_bytes(size):>10}  {note}"


def _length_lines(plan: Plan, rate: float | None) -> list[str]:
    steps, epochs = plan.steps_per_epoch, plan.config.train.epochs
    if not steps:
        return [f"  unknown: steps of each of the {epochs} epochs (--images N)"]
    hours = count_hours(plan, rate)
    return [
        f"  {epochs} epochs of {steps:,} steps: {plan.images_seen:,} images",
        "  unknown: hours (--rate)" if hours is None else f"  {hours:.1f} hours at {rate:g} images/s",
    ]
