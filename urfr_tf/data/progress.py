"""How far a long work is: tqdm's bar on a terminal, a line every ten seconds elsewhere."""

import sys
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm


class _Bar(tqdm):
    """A tqdm bar that writes whole lines where nothing can be rewritten."""

    # A thread that looks after bars that are rarely updated: ours are not.
    monitor_interval = 0

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        """Returns the function that tqdm prints each state of the bar with."""
        if file.isatty():
            rewrite: Callable[[str], None] = tqdm.status_printer(file)
            return rewrite
        ends = iter([""])

        def print_line(text: str) -> None:
            # tqdm ends the last line itself.
            file.write(next(ends, "\n") + text)
            file.flush()

        return print_line


class Progress:
    """Counts images; shows done, total, rate and time left.

    Args:
        total: how many there will be.
        done: how many of them an earlier run did; they do not enter the rate.
        stream: where to print; stderr by default.
    """

    def __init__(self, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        stream = stream if stream is not None else sys.stderr
        seconds = 0.2 if stream.isatty() else 10.0
        self._bar = _Bar(
            total=total,
            initial=done,
            unit=" images",
            file=stream,
            mininterval=seconds,
            maxinterval=seconds,
            miniters=1,
            smoothing=0,
        )

    def add(self, images: int) -> None:
        """Notes that so many more are done."""
        self._bar.update(images)

    def close(self) -> None:
        """Prints the last line."""
        self._bar.close()
