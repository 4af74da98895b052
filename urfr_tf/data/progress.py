"""How far a long work is: one line that is rewritten on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import TextIO


class Progress:
    """Counts images; prints done, total, rate and time left.

    Args:
        total: how many there will be.
        done: how many of them an earlier run did; they do not enter the rate.
        stream: where to print; stderr by default.
    """

    def __init__(self, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._total = total
        self._done = self._first = done
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._start = self._printed = time.monotonic()

    def add(self, images: int) -> None:
        """Notes that so many more are done."""
        self._done += images
        now = time.monotonic()
        if now - self._printed >= (0.2 if self._terminal else 10.0):
            self._printed = now
            print(self._line(), end="" if self._terminal else "\n", file=self._stream, flush=True)

    def close(self) -> None:
        """Prints the last line."""
        print(self._line(), file=self._stream, flush=True)

    def _line(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-6)
        rate = (self._done - self._first) / seconds
        left = max(self._total - self._done, 0)
        ahead = f", {_clock(left / rate)} left" if rate and left else f", took {_clock(seconds)}"
        text = f"{self._done} of {max(self._total, self._done)} images, {rate:.0f} a second{ahead}"
        return f"\r\x1b[K{text}" if self._terminal else text


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"
