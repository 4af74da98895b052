"""Where the images and lists of a protocol are; imports nothing heavy, as the command line reads it."""

from dataclasses import dataclass

PER_PERSON = 50
"""Genuine pairs that a person gives at most: all of ten images. Pairs grow with the square of the images, so
a TAR over all of them would be that of the person with the most photographs."""


@dataclass(frozen=True)
class ProtocolSource:
    """What a protocol is read from.

    Attributes:
        data: the set in its published layout; for `pairs` and `synthetic` a folder per identity or shards.
        pairs_file: pairs over `data`, where the protocol takes them.
        seed: of generated pairs.
        per_person: genuine pairs that a person gives at most where pairs are generated; 0: all.
    """

    data: str
    pairs_file: str | None = None
    seed: int = 0
    per_person: int = PER_PERSON
