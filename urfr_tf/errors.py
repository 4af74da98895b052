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
