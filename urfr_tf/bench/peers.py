"""The environment of the benchmark: ai-edge-litert and ONNX Runtime, and tf2onnx to feed the latter.

None of them can or should stand in the lock file (ai-edge-litert wants another protobuf). They are
installed once, at the versions below, in the user's cache; the converter goes to a folder of its own that is
put before the path of this Python, since it needs TensorFlow.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from urfr_tf.errors import UrfrError
from urfr_tf.system.cache import cache_folder

RUNTIMES = Path(__file__).with_name("runtimes.txt")
"""The lock of ai-edge-litert and ONNX Runtime, with hashes; `make lock` writes it from runtimes.in."""
CONVERTER = Path(__file__).with_name("converter.txt")
"""The same of tf2onnx and onnx alone: TensorFlow, NumPy, protobuf and flatbuffers are this Python's."""
OPSET = 17


@dataclass(frozen=True)
class Peers:
    """Where the environment is."""

    python: str
    converter: str
    versions: dict[str, str]

    def to_onnx(self, saved_model: Path, out: Path) -> None:
        """Converts the signature serving_default.

        Raises:
            UrfrError: tf2onnx fails.
        """
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(saved_model)]
        command += ["--signature_def", "serving_default", "--opset", str(OPSET), "--output", str(out)]
        path = os.pathsep.join([self.converter, *filter(None, [os.environ.get("PYTHONPATH")])])
        problem = f"tf2onnx could not convert {saved_model}"
        run_program(command, problem, env={**os.environ, "PYTHONPATH": path})
        if not out.is_file():
            raise UrfrError(f"{problem}: it wrote no {out}")


def peers_environment() -> Peers:
    """Makes the environment if it is not there yet.

    Raises:
        UrfrError: its packages cannot be installed.
    """
    versions = {**locked_versions(RUNTIMES), **locked_versions(CONVERTER)}
    packages = {name: versions[name] for name in ("ai-edge-litert", "onnxruntime", "tf2onnx", "onnx")}
    locks = hashlib.sha256(RUNTIMES.read_bytes() + CONVERTER.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"bench-py{sys.version_info.major}{sys.version_info.minor}-{locks}"
    python, converter = folder / "bin" / "python", folder / "converter"
    if not (folder / "complete").is_file():
        print(
            f"installing {', '.join(f'{k} {v}' for k, v in packages.items())} into {folder}", file=sys.stderr
        )
        venv.create(folder, with_pip=True, clear=True)
        _pip(python, ["-r", str(RUNTIMES)])
        _pip(python, ["--no-deps", "--target", str(converter), "-r", str(CONVERTER)])
        (folder / "complete").touch()
    return Peers(str(python), str(converter), packages)


def locked_versions(lock: Path) -> dict[str, str]:
    """Reads the versions of a lock file; distribution -> version."""
    pins = re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(pins)


def _pip(python: Path, words: list[str]) -> None:
    command = [str(python), "-m", "pip", "install", "-q", "--require-hashes", *words]
    run_program(command, "could not install the benchmark's peers")


def run_program(
    command: list[str], problem: str, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> str:
    """Runs a program and gives what it printed.

    Args:
        command: program and words.
        problem: how the sentence begins if it fails; the last line of its errors follows, or the signal that
            ended it.
        env: its environment; None for this one's.
        stdin: what it reads.

    Raises:
        UrfrError: it fails.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=env, input=stdin)
    if result.returncode < 0:
        name = signal.Signals(-result.returncode).name
        hint = ", which is what the system does where memory is out" if name == "SIGKILL" else ""
        raise UrfrError(f"{problem}: it was ended by {name}{hint}")
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        raise UrfrError(f"{problem}: {lines[-1]}")
    return result.stdout
