"""What this installation and this machine are, and what is wrong with them, for `urfr doctor`."""

import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TypedDict

from urfr_tf import __version__
from urfr_tf.errors import short_reason_of
from urfr_tf.metrics.likelihood_kernel import NAMES, load_kernel
from urfr_tf.system import extras, memory
from urfr_tf.system.cores import count_cores
from urfr_tf.system.extras import EXTRAS
from urfr_tf.system.processor import DECISIVE, processor_flags, processor_name

_ASK_TENSORFLOW = """
import json, sys
import tensorflow as tf
found = tf.config.list_physical_devices("GPU")
names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in found]
print(json.dumps({"gpus": names, "built_for_gpus": tf.test.is_built_with_cuda()}))
"""


class Cores(TypedDict):
    """Cores of the machine, and those that this process may use (affinity and the container's quota)."""

    machine: int
    usable: int


class Memory(TypedDict):
    """Bytes that a new process can take without swapping; None where the system does not tell."""

    available: int | None


class TensorFlow(TypedDict):
    """What TensorFlow says in a process of its own: None in `problem` where it imports."""

    gpus: list[str]
    built_for_gpus: bool
    problem: str | None


class Diagnosis(TypedDict):
    """What `urfr doctor --json` prints."""

    versions: dict[str, str | None]
    """Distribution -> version; None where it is not installed."""
    processor: str
    cores: Cores
    memory: Memory
    instructions: list[str]
    """Those of `DECISIVE` that the processor has."""
    kernel: str | None
    """Instructions that the compiled likelihood kernel uses; None where it was not built or does not load."""
    tensorflow: TensorFlow
    extras: dict[str, list[str]]
    """Extra -> its modules that are missing; an empty list where it is complete."""
    problems: list[str]
    """What does not work, each with what to do; empty on a sound installation."""


def diagnose() -> Diagnosis:
    """Looks at the installation and the machine.

    TensorFlow is asked in a process of its own, as it may crash.
    """
    versions: dict[str, str | None] = {"urfr-tf": __version__, "python": platform.python_version()}
    versions.update((name, extras.find_version(name)) for name in (*extras.DISTRIBUTIONS, "protobuf"))
    kernel, tensorflow = load_kernel(), ask_tensorflow()
    diagnosis: Diagnosis = {
        "versions": versions,
        "processor": processor_name(),
        "cores": {"machine": os.cpu_count() or 1, "usable": count_cores()},
        "memory": {"available": memory.available()},
        "instructions": [name for name in DECISIVE if name in processor_flags()],
        "kernel": NAMES[kernel.lanes] if kernel else None,
        "tensorflow": tensorflow,
        "extras": missing_modules(),
        "problems": [],
    }
    if tensorflow["problem"]:
        diagnosis["problems"].append(tensorflow["problem"])
    if kernel is None:
        diagnosis["problems"].append(
            "the compiled kernel of all-pairs likelihood scores is not in use, which makes them several "
            "times slower: install a C compiler (gcc), then install urfr-tf again"
        )
    return diagnosis


def missing_modules() -> dict[str, list[str]]:
    """Looks for the modules of every extra without importing them; extra -> those that are not installed."""
    missing: dict[str, list[str]] = {extra: [] for extra in EXTRAS.values()}
    for module, extra in EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            missing[extra].append(module)
    return missing


def ask_tensorflow(command: Sequence[str] = (sys.executable, "-c", _ASK_TENSORFLOW)) -> TensorFlow:
    """Imports TensorFlow in another process and asks it for GPUs.

    Args:
        command: the program that imports it and prints JSON.
    """
    answer: TensorFlow = {"gpus": [], "built_for_gpus": False, "problem": None}
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        answer["problem"] = f"TensorFlow does not import: {short_reason_of(error)}"
        return answer
    if result.returncode == 0:
        answer.update(json.loads(result.stdout.splitlines()[-1]))
        return answer
    if result.returncode < 0:
        name = signal.Signals(-result.returncode).name
        hint = "; a processor without AVX cannot run TensorFlow's wheels" if name == "SIGILL" else ""
        answer["problem"] = f"TensorFlow does not import: {name} ended the process{hint}"
        return answer
    last = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
    answer["problem"] = (
        f"TensorFlow does not import: {last}; install urfr-tf anew in an environment of its own"
    )
    return answer


def describe(diagnosis: Diagnosis) -> list[str]:
    """Spells a diagnosis for people: lines of one screen, at most 100 characters wide."""
    versions = diagnosis["versions"]
    cores, free = diagnosis["cores"], diagnosis["memory"]["available"]
    tensorflow = diagnosis["tensorflow"]
    gpus = ", ".join(tensorflow["gpus"])
    if not gpus:
        gpus = "none seen" + (
            "" if tensorflow["built_for_gpus"] else "; this TensorFlow was built without CUDA"
        )
    rows = [(name, version or "not installed") for name, version in versions.items()]
    rows += [
        ("processor", diagnosis["processor"]),
        ("instructions", " ".join(diagnosis["instructions"]) or "none of those that matter"),
        ("cores", f"{cores['usable']} usable of {cores['machine']}"),
        ("memory", "unknown" if free is None else f"{memory.spell(free)} available"),
        ("GPUs", gpus),
        ("compiled kernel", diagnosis["kernel"] or "not in use"),
    ]
    lines = [f"{name:24}{text}" for name, text in rows]
    for extra, missing in diagnosis["extras"].items():
        install = f"missing {', '.join(missing)}: {extras.spell_installation(extra)}"
        lines.append(f"{'extra ' + extra:24}{install if missing else 'complete'}")
    return [*lines, *(f"PROBLEM: {problem}" for problem in diagnosis["problems"])]
