"""Devices, precision and determinism: from `runtime.*` to a tf.distribute strategy."""

import tensorflow as tf
from official.common import distribute_utils
from official.modeling import performance

from urfr_tf.config.tree import RuntimeConfig
from urfr_tf.errors import UrfrError, reason_of
from urfr_tf.keras2 import keras

_COMPUTE = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}


def set_up_strategy(runtime: RuntimeConfig, seed: int) -> tf.distribute.Strategy:
    """Seeds everything, sets the precision policy, and returns the strategy.

    - Without GPUs and with `replicas: 0`, it is TensorFlow's default strategy.
    - `replicas: N` makes N logical CPU devices, to test what N GPUs would do.
    - `multi_worker_mirrored` finds its processes in TF_CONFIG and waits for all of them.
    - `tpu` was never tested.

    Raises:
        UrfrError: TensorFlow was used before in this process with another number of devices, or there is no
            TPU or cluster as configured.
    """
    keras.utils.set_random_seed(seed)
    if runtime.deterministic:
        tf.config.experimental.enable_op_determinism()
    performance.set_mixed_precision_policy(_COMPUTE[runtime.precision])
    if runtime.replicas > 0:
        return tf.distribute.MirroredStrategy(_logical_cpus(runtime.replicas))
    gpus = len(tf.config.list_physical_devices("GPU"))
    if runtime.strategy == "mirrored" and gpus <= 1:
        return tf.distribute.get_strategy()
    try:
        if runtime.strategy == "multi_worker_mirrored":
            return tf.distribute.MultiWorkerMirroredStrategy()
        return distribute_utils.get_distribution_strategy(
            runtime.strategy, num_gpus=gpus, tpu_address=runtime.tpu
        )
    except (tf.errors.OpError, ValueError, RuntimeError, KeyError) as error:
        raise UrfrError(
            f"could not set up runtime.strategy: {runtime.strategy}: {reason_of(error)}"
        ) from error


def needs_synchronized_norms(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether batch norms must be synchronized: under any mirrored strategy, even of one replica.

    The fused batch norm of a single device estimates the moving variance with N - 1, the synchronized one
    with N. This way one and two replicas of a mirrored strategy agree.
    """
    return strategy.num_replicas_in_sync > 1 or isinstance(strategy, tf.distribute.MirroredStrategy)


def _logical_cpus(count: int) -> list[str]:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError as error:
        running = len(tf.config.list_logical_devices("CPU"))
        if running < count:
            raise UrfrError(
                f"runtime.replicas asks for {count} logical CPU devices, "
                f"but TensorFlow already runs with {running}"
            ) from error
    return [f"CPU:{i}" for i in range(count)]
