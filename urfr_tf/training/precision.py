"""Which precision this machine trains fastest in, for `runtime.precision: auto`."""

from pathlib import Path

from urfr_tf.config.load_config import from_dict, read_run_config
from urfr_tf.config.tree import Experiment
from urfr_tf.system.processor import BFLOAT16, processor_flags

AUTO = "auto"


def resolve_precision(config: Experiment, run_dir: str | Path | None = None) -> tuple[Experiment, str]:
    """Replaces the precision `auto` by the one that fits this machine.

    A run that is resumed keeps the precision that its folder names, on any machine.

    Args:
        config: a configuration; one that names a precision is returned unchanged.
        run_dir: the run folder, if there is one.

    Returns:
        The configuration, and the reason for its precision.
    """
    if config.runtime.precision != AUTO:
        return config, "as configured"
    if run_dir is not None and (Path(run_dir) / "config.yaml").is_file():
        precision, reason = read_run_config(run_dir).runtime.precision, "as this run began"
    else:
        precision, reason = choose_precision(compute_capabilities(), processor_flags())
    tree = config.as_dict()
    tree = {**tree, "runtime": {**tree["runtime"], "precision": precision}}
    return from_dict(tree, "runtime.precision"), reason


def choose_precision(capabilities: list[tuple[int, int]], flags: frozenset[str]) -> tuple[str, str]:
    """Returns (precision, reason) for GPUs of these compute capabilities, or a processor with these flags.

    Tensor cores know bfloat16 from 8.0 (Ampere) on, float16 from 7.0 (Volta) on. The weakest GPU counts.
    """
    if capabilities:
        weakest = min(capabilities)
        reason = f"the GPU has compute capability {weakest[0]}.{weakest[1]}"
        if weakest >= (8, 0):
            return "mixed_bfloat16", reason
        return ("mixed_float16" if weakest >= (7, 0) else "float32"), reason
    for flag in BFLOAT16:
        if flag in flags:
            return "mixed_bfloat16", f"the processor has {flag}"
    return "float32", f"the processor has none of {', '.join(BFLOAT16)}"


def compute_capabilities() -> list[tuple[int, int]]:
    """Returns the compute capability of each GPU; (0, 0) where TensorFlow does not tell."""
    import tensorflow as tf

    details = [
        tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")
    ]
    return [each.get("compute_capability", (0, 0)) for each in details]
