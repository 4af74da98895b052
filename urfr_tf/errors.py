"""The exceptions that a user may see, the words they are printed with, and their exit codes."""

from typing import Any


class UrfrError(Exception):
    """Something outside the code is wrong: a file, a setting, a disk.

    The message is one sentence that says what was expected, what came and where. `urfr` prints it
    without a stack trace and exits with `exit_code`.
    """

    exit_code = 1


class TryAgainError(UrfrError):
    """Nothing is wrong and nothing lost: the machine was taken away, or another worker was.

    The same command continues. The code is EX_TEMPFAIL of sysexits.h, so that whoever starts jobs can
    tell it from a failure that would only come again.
    """

    exit_code = 75


def reason_of(error: Any) -> str:
    """What an error of TensorFlow says, in one line, without the stack trace that may stand before it.

    Args:
        error: a `tf.errors.OpError`.
    """
    lines = [line for line in str(error.message).splitlines() if line.strip()]
    # Lines of a trace are indented.
    apart = ("Graph execution error", "Detected at", "<stack", " ")
    useful = [line for line in lines if not line.startswith(apart)]
    return (useful or lines or [type(error).__name__])[0]
