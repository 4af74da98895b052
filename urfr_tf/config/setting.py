"""What is known of one key of a configuration besides its type: what it means, and which values it takes."""

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")
_NAME = "setting"


@dataclasses.dataclass(frozen=True)
class Limits:
    """The range of a number.

    Attributes:
        minimum, maximum: the range includes these.
        above, below: the range excludes these.
        noun: what the number is, for errors: "a probability".
        unit: behind the bounds: "px".
        advice: what to do instead, for errors.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    noun: str = ""
    unit: str = ""
    advice: str = ""

    def hold(self, value: float) -> bool:
        """Whether a number is inside."""
        return not (
            (self.minimum is not None and value < self.minimum)
            or (self.maximum is not None and value > self.maximum)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )

    def spell(self) -> str:
        """The range in words: "from 0 to below 1", "at least 32 px"."""
        if self.minimum is not None and self.maximum is not None:
            words = f"from {self.minimum:g} to {self.maximum:g}"
        elif self.minimum is not None and self.below is not None:
            words = f"from {self.minimum:g} to below {self.below:g}"
        else:
            bounds = (
                ("at least", self.minimum),
                ("above", self.above),
                ("at most", self.maximum),
                ("below", self.below),
            )
            words = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        return f"{words} {self.unit}" if self.unit else words


ANY = Limits()
POSITIVE = Limits(above=0)
NOT_NEGATIVE = Limits(minimum=0)
AT_LEAST_ONE = Limits(minimum=1)
PROBABILITY = Limits(minimum=0, maximum=1, noun="a probability")


@dataclasses.dataclass(frozen=True)
class Setting:
    """Metadata of one key.

    Attributes:
        text: one sentence that says what the key does.
        choices: the words that it takes; empty for all.
        limits: the range of its number, or of each number of a list.
    """

    text: str
    choices: tuple[str, ...] = ()
    limits: Limits = ANY

    def objection(self, name: str, value: object) -> str | None:
        """Says what is wrong with a value of the right type.

        Args:
            name: the key in full, for the sentence.
            value: what it is set to. None and lists are not looked at.

        Returns:
            A sentence, or None for a value that can be taken.
        """
        if self.choices and value not in self.choices:
            return f"{name} is one of {', '.join(self.choices)}, but got {value}"
        if isinstance(value, (int, float)) and not self.limits.hold(value):
            advice = f"; {self.limits.advice}" if self.limits.advice else ""
            if self.limits == NOT_NEGATIVE:
                return f"{name} must not be negative, but got {value}"
            verb = f"is {self.limits.noun}" if self.limits.noun else "must be"
            return f"{name} {verb} {self.limits.spell()}, but got {value}{advice}"
        return None


def setting(default: T, text: str, choices: tuple[str, ...] = (), limits: Limits = ANY) -> T:
    """Makes a field of a dataclass, as `dataclasses.field` does, that carries a `Setting`.

    Args:
        default: the value of the key where a configuration does not set it, not a list.
        text, choices, limits: see `Setting`.
    """
    return dataclasses.field(default=default, metadata=describe(text, choices, limits))


def describe(text: str, choices: tuple[str, ...] = (), limits: Limits = ANY) -> Mapping[str, Setting]:
    """Makes the metadata of a field whose default needs a factory; for arguments see `Setting`."""
    return {_NAME: Setting(text, choices, limits)}


def setting_of(field: "dataclasses.Field[object]") -> Setting | None:
    """The metadata of a field; None for a group of keys, or for a field of tf-models-official."""
    known = field.metadata.get(_NAME)
    return known if isinstance(known, Setting) else None
