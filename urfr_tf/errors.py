"""The exceptions that a user may see, the words they are printed with, and their exit codes."""

_LONGEST_REASON = 300


class UrfrError(Exception):
    """Something outside the code is wrong: a file, a setting, a disk.

    The message is one sentence that says what was expected, what was found and where. `urfr` prints it
    without a stack trace and exits with `exit_code`.
    """

    exit_code = 1


class TryAgainError(UrfrError):
    """Training stopped because this machine was taken away or another worker was lost.

    Nothing is wrong and no work is lost: the same command continues. The exit code is EX_TEMPFAIL of
    sysexits.h. A job scheduler can tell it from a failure that would happen again.
    """

    exit_code = 75


def reason_of(error: BaseException) -> str:
    """Takes the one line out of an error of a library that says what is wrong.

    The stack trace that TensorFlow may put before it is left out.
    """
    # The text of a `tf.errors.OpError` has more than its message.
    lines = [line for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    # Lines of a trace are indented.
    trace = ("Graph execution error", "Detected at", "<stack", " ")
    useful = [line for line in lines if not line.startswith(trace)]
    return (useful or lines or [type(error).__name__])[0].strip()


def short_reason_of(error: BaseException) -> str:
    """Returns `reason_of` an error about a file from outside, which may put a text of any length into it."""
    return reason_of(error)[:_LONGEST_REASON]
