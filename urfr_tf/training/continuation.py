"""What changes in a run that goes on with other settings than it began with, said before it goes on."""

import math
import sys

from urfr_tf.config.tree import Experiment
from urfr_tf.runs.folder import list_changes
from urfr_tf.training.optimizers import build_schedule, rate_at

# Settings under which a step gives other numbers, in the last bits or more.
_NUMERIC = (
    "runtime.precision",
    "runtime.strategy",
    "runtime.replicas",
    "runtime.deterministic",
    "runtime.tpu",
)


def warn_of_changes(before: Experiment, config: Experiment, steps_per_epoch: int, step: int) -> None:
    """Prints which settings have an effect on a run that resumes; nothing where none has.

    Args:
        before: the configuration that the run had so far.
        config: the configuration it goes on with.
        steps_per_epoch: steps of an epoch.
        step: the step that comes next, counted from 0.
    """
    for sentence in describe_changes(before, config, steps_per_epoch, step):
        print(f"warning: {sentence}", file=sys.stderr)


def describe_changes(before: Experiment, config: Experiment, steps_per_epoch: int, step: int) -> list[str]:
    """Returns a sentence for each effect; see `warn_of_changes`."""
    sentences = []
    old, new = (
        rate_at(build_schedule(each.optimizer, steps_per_epoch * each.train.epochs), step)
        for each in (before, config)
    )
    if not math.isclose(old, new, rel_tol=1e-6, abs_tol=1e-12):
        sentences.append(
            f"the learning rate of step {step + 1} is {new:.3g}, where it would have been {old:.3g}: "
            f"the schedule {config.optimizer.learning_rate.type} is stretched over all epochs, and "
            f"train.epochs was {before.train.epochs} and is {config.train.epochs}. The result is not that of "
            f"{config.train.epochs} epochs in one go. For a schedule of its own, start a new run with "
            "initial_weights: this run"
        )
    numeric = [change for change in list_changes(before, config) if change[0] in _NUMERIC]
    if numeric:
        changes = ", ".join(f"{key} from {then} to {now}" for key, then, now in numeric)
        sentences.append(
            f"this part of the run computes with other settings ({changes}): "
            "it does not end bit for bit as an unbroken run"
        )
    return sentences
