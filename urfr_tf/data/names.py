"""Names of people and files: as bytes that come back unchanged, in natural order, and for people to read."""

from urfr_tf.data.sources.item import NaturalKey, natural_key


def to_bytes(name: str) -> bytes:
    """A name as bytes; names that are not UTF-8 come back from `to_name` unchanged."""
    return name.encode("utf-8", "surrogateescape")


def to_name(value: bytes) -> str:
    """The inverse of `to_bytes`."""
    return value.decode("utf-8", "surrogateescape")


def by_name(identity: bytes, key: bytes) -> tuple[NaturalKey, NaturalKey]:
    """Sort key of an image: its person's name, then its own, both in natural order."""
    return natural_key(to_name(identity)), natural_key(to_name(key))


def shown(key: bytes) -> str:
    """A name for a list that people read: one line, no tab, always UTF-8."""
    name = key.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
