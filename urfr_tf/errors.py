"""The one exception that a user may see, and the words it is printed with."""


class UrfrError(Exception):
    """Something outside the code is wrong: a file, a setting, a disk.

    The message is one sentence that says what was expected, what came and where. `urfr` prints it
    without a stack trace and exits with 1.
    """
