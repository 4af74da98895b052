"""The exceptions that a user may see, the words they are printed with, and their exit codes."""

_LONGEST_REASON = 300
_LONGEST_SENTENCE = 1500


class UrfrError(Exception):
    """Something outside the code is wrong: a file, a setting, a disk.

    The message is one sentence that says what was expected, what was found and where. `urfr` prints it
    without a stack trace and exits with `exit_code`. Names and values from outside may be of any length and
    may hold line ends: these are written as escapes, and the middle of what is too long is left out.
    """

    exit_code = 1

    def __init__(self, sentence: str = "") -> None:
        super().__init__(_one_line(sentence))


def _one_line(sentence: str) -> str:
    half = _LONGEST_SENTENCE // 2
    if len(sentence) > _LONGEST_SENTENCE:
        sentence = f"{sentence[:half]} ... {sentence[-half:]}"
    return "".join(
        repr(character)[1:-1] if len(f"a{character}a".splitlines()) > 1 else character
        for character in sentence
    )


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
