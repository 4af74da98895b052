"""The cells of a report's tables: numbers with their uncertainty, and how they are written."""

import numbers
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A value with what is known of its uncertainty: value ± standard error (low to high), † where thin."""

    value: float
    error: float | None = None
    interval: tuple[float, float] | None = None
    thin: bool = False


Cell = str | int | float | Measured | None


def format_number(value: int | float | Measured) -> str:
    """A number as the tables show it: integers with thousands apart, fractions with four decimals.

    Above one it is five significant digits at most; what four decimals would hide comes as 7.67e-04.
    """
    if isinstance(value, Measured):
        text = format_number(value.value) + ("†" if value.thin else "")
        text += f" ± {format_number(value.error)}" if value.error is not None else ""
        return text + (f" ({' to '.join(map(format_number, value.interval))})" if value.interval else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if value != value:
        return "not a number"
    size = abs(value)
    if 0 < size < 1e-3 or size >= 1e5:
        return f"{value:.2e}"
    return f"{value:.{4 if size <= 1 else 3 if size < 10 else 2 if size < 100 else 1}f}"
