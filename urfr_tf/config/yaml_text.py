"""YAML with the line of each key, so that an error can say where a value was set.

A key that is set twice is an error: YAML would take the second value and forget the first. Names that are not
UTF-8 are read as Python does, with surrogate escapes.
"""

import re
from collections.abc import Iterator
from typing import TextIO

import yaml

# As PyYAML has it, and surrogate escapes.
_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\udc80-\udcff\ue000-\ufffd\U00010000-\U0010ffff]")


_MOST_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    def check_printable(self, data: str) -> None:
        if found := _NOT_ALLOWED.search(data):
            raise yaml.YAMLError(f"the character {found.group()!r} is not allowed")


def parse_yaml(text: str | TextIO) -> tuple[object, dict[str, int]]:
    """Parses one YAML document.

    Returns:
        Its value, and the lines of its keys: dotted key -> line, counted from 1.

    Raises:
        yaml.YAMLError: it does not parse, or a key is set twice; the last line of the message says where.
        RecursionError: it is nested too deeply.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        if _count_values(node, {}) > _MOST_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {_MOST_VALUES} values")
        lines = dict(_lines_of(node, "", set()))
        return loader.construct_document(node), lines
    # What PyYAML raises for a date or a number that only looks like one, and for a tag that does not fit.
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise yaml.YAMLError(f"a value does not parse: {error}") from error
    finally:
        loader.dispose()


def _count_values(node: yaml.Node, known: dict[int, int]) -> int:
    """Counts the values below a node, those behind an alias each time that it is used."""
    if id(node) not in known:
        known[id(node)] = 1  # A node below itself counts once.
        children = list(node.value) if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in children for child in pair]
        known[id(node)] = 1 + sum(_count_values(child, known) for child in children)
    return known[id(node)]


def _lines_of(node: yaml.Node, prefix: str, visited: set[int]) -> Iterator[tuple[str, int]]:
    """The dotted keys of nested mappings with their lines; an alias is followed once."""
    if not isinstance(node, yaml.MappingNode) or id(node) in visited:
        return
    visited.add(id(node))
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = f"{prefix}{key.value}"
        if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
            if name in lines:
                raise yaml.YAMLError(f"{name} is set twice, in the lines {lines[name]} and {line}")
            lines[name] = line
            yield name, line
        yield from _lines_of(value, f"{name}.", visited)
