"""The exceptions that a user may see, the words they are printed with, and their exit codes."""


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


def reason_of(error: BaseException) -> str:
    """What an error of a library says, in one line, without the stack trace that TensorFlow may put before it."""
    # The text of a `tf.errors.OpError` has more than its message.
    lines = [line for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    # Lines of a trace are indented.
    apart = ("Graph execution error", "Detected at", "<stack", " ")
    useful = [line for line in lines if not line.startswith(apart)]
    return (useful or lines or [type(error).__name__])[0].strip()
