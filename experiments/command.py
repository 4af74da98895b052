"""How the commands of experiments/ end where something outside the code is wrong: with a sentence."""

import functools
import sys
from collections.abc import Callable

from urfr_tf.errors import UrfrError


def with_sentences(name: str) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Makes a command's main print an `UrfrError` after `name`, without a stack trace, and return its exit
    code."""

    def wrap(main: Callable[..., int | None]) -> Callable[..., int]:
        @functools.wraps(main)
        def run(*args: object) -> int:
            try:
                return main(*args) or 0
            except UrfrError as error:
                print(f"{name}: {error}", file=sys.stderr)
                return error.exit_code

        return run

    return wrap
