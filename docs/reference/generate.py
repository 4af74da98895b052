"""Writes the pages of docs/reference that list what the code defines: configuration, command line, protocols.

    python docs/reference/generate.py

A test compares the committed pages with what this script writes.
"""

import argparse
import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path

from official.modeling import hyperparams

from urfr_tf.cli import build_parser
from urfr_tf.config.setting import ANY, Setting, setting_of
from urfr_tf.config.tree import Experiment, OptimizerConfig
from urfr_tf.export.client_command import build_parser as build_client_parser
from urfr_tf.protocols.table import PROTOCOLS, protocol_lines

HERE = Path(__file__).resolve().parent
CONFIGURATION = """# Configuration

<!-- Written by docs/reference/generate.py; do not edit. -->

Every key of a configuration. `--set a.b=value` overrides one key.
[Train](../guides/train.md#change-a-setting) says how to write a file.

Unknown keys, wrong types and values out of range are refused with the full name of the key. A value is
also refused if it does not go together with that of another key. The message then says why.
"""
CLI = """# Command line

<!-- Written by docs/reference/generate.py; do not edit. -->

`urfr COMMAND --help` prints the same. `urfr --debug COMMAND ...` shows the stack trace of an error, and
`urfr --version` prints the version. [Exit codes](exit-codes.md) lists how a command ends.
"""
PROTOCOL = """# Protocols

<!-- Written by docs/reference/generate.py; do not edit. -->

`urfr evaluate --protocol NAME --data PATH` reads these sets. [Evaluate](../guides/evaluate.md) says how
to use them. [The method, section 8](method.md#8-evaluation-protocols), says how each is measured.
"""
SCHEDULES = {"learning_rate": "schedule of the learning rate", "warmup": "warm-up of the learning rate"}
_LIBRARY_KEYS = ("name", "default_params", "restrictions")


def configuration_page() -> str:
    """Lists every key of the configuration with its type, default and range."""
    experiment = Experiment()
    lines = [CONFIGURATION, "## Top level", "", *_table(_rows(experiment, ""))]
    for prefix, group in _groups(experiment, ""):
        lines += ["", f"## {prefix}", "", _first_paragraph(group), "", *_table(_rows(group, f"{prefix}."))]
    for key, title in SCHEDULES.items():
        lines += ["", f"## optimizer.{key}", "", *_schedule(experiment.optimizer, key, title)]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Lists every subcommand with its options."""
    commands = {f"urfr {name}": each for name, each in _subparsers(build_parser()).items()}
    client = build_client_parser()
    lines = [CLI, "| command | what it does |", "| --- | --- |"]
    for name, command in {**commands, client.prog: client}.items():
        lines.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(command.description)} |")
    for name, command in {**commands, client.prog: client}.items():
        lines += ["", f"## {name}", "", _sentence(command.description)]
        inner = _subparsers(command)
        if not inner or command is client:
            lines += ["", *_usage(command), *_options(command)]
        for role, each in inner.items():
            lines += ["", f"### {name} {role}", "", *_usage(each), *_options(each)]
    return "\n".join(lines) + "\n"


def protocols_page() -> str:
    """Lists the protocols with their layouts and figures."""
    central = ", ".join(f"`{entry.name}`" for entry in PROTOCOLS.values() if entry.faces == "central")
    lists = ", ".join(f"`{entry.name}`" for entry in PROTOCOLS.values() if entry.takes_pairs)
    lines = [
        PROTOCOL,
        *protocol_lines(),
        "",
        f"- `--pairs` is accepted by {lists}.",
        f"- Of several faces in a photograph, {central} takes the central one. The others take the largest.",
        "  `--faces` changes that.",
        "- The head of each module in `urfr_tf/protocols/` shows its tree of files line by line.",
    ]
    return "\n".join(lines) + "\n"


PAGES = {"configuration.md": configuration_page, "cli.md": cli_page, "protocols.md": protocols_page}


def _groups(group: hyperparams.Config, prefix: str) -> Iterator[tuple[str, hyperparams.Config]]:
    """Gives the groups of keys below a group that are ours, with their dotted names."""
    for field in dataclasses.fields(group):
        value = getattr(group, field.name)
        if isinstance(value, hyperparams.Config) and type(value).__module__.startswith("urfr_tf."):
            yield f"{prefix}{field.name}", value
            yield from _groups(value, f"{prefix}{field.name}.")


def _rows(group: hyperparams.Config, prefix: str) -> Iterator[tuple[str, str, str, str, str]]:
    hints = typing.get_type_hints(type(group))
    for field in dataclasses.fields(group):
        known = setting_of(field)
        if known:
            value = getattr(group, field.name)
            kind, default = _type(hints[field.name]), _value(value)
            yield f"`{prefix}{field.name}`", kind, default, _range(known), known.text


def _schedule(optimizer: OptimizerConfig, key: str, title: str) -> list[str]:
    """Describes a group of tf-models-official: a type, and one group of keys for each type."""
    choice = getattr(optimizer, key)
    hints = typing.get_type_hints(type(choice))
    kinds = [name for name in hints if isinstance(getattr(choice, name, None), hyperparams.Config)]
    rows = []
    for kind in kinds:
        keys = getattr(choice, kind)
        types_of_keys = typing.get_type_hints(type(keys))
        for field in dataclasses.fields(keys):
            if field.name not in _LIBRARY_KEYS:
                name = f"`optimizer.{key}.{kind}.{field.name}`"
                rows.append((name, _type(types_of_keys[field.name]), _value(getattr(keys, field.name))))
    return [
        f"The {title}, as tf-models-official defines it. `optimizer.{key}.type` is one of",
        f"{', '.join(f'`{kind}`' for kind in kinds)}. Its keys are in the group of the same name.",
        "",
        "| key | type | default |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    head = ["| key | type | default | range | meaning |", "| --- | --- | --- | --- | --- |"]
    return [*head, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)]


def _type(hint: object) -> str:
    options = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join("none" if option is type(None) else _type(option) for option in options)
    if typing.get_origin(hint) is list:
        return f"list of {_type(options[0])}"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else "empty"


def _range(known: Setting) -> str:
    if known.choices:
        return ", ".join(f"`{choice}`" for choice in known.choices)
    return "" if known.limits == ANY else known.limits.spell()


def _first_paragraph(group: object) -> str:
    return " ".join((type(group).__doc__ or "").split("\n\n")[0].split())


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    """A line with what must be given; the formatting of argparse depends on the version of Python."""
    words = [parser.prog]
    for action in parser._actions:
        if action.required and action.option_strings:
            words.append(f"{action.option_strings[-1]} {_metavar(action)}".rstrip())
    for group in parser._mutually_exclusive_groups:
        if group.required:
            either = " | ".join(
                f"{action.option_strings[-1]} {_metavar(action)}" for action in group._group_actions
            )
            words.append(f"({either})")
    words += [_metavar(action) for action in parser._actions if not action.option_strings]
    if any(action.option_strings and not action.required for action in parser._actions[1:]):
        words.append("[OPTIONS]")
    return [f"    {' '.join(words)}", ""]


def _options(parser: argparse.ArgumentParser) -> list[str]:
    rows = [
        f"| {_name(action)} | {_choices(action)} | {_cell(_help(action))} |"
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    epilog = [f"    {line}".rstrip() for line in (parser.epilog or "").splitlines()]
    return ["| option | values | meaning |", "| --- | --- | --- |", *rows, *([""] if epilog else []), *epilog]


def _name(action: argparse.Action) -> str:
    words = f"{action.option_strings[-1] if action.option_strings else ''} {_metavar(action)}".strip()
    # A bar inside of a table cell would end it.
    return f"`{words}`".replace("|", "\\|")


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    name = action.metavar
    if isinstance(name, tuple):
        name = " ".join(name)
    if name is None:
        name = (action.option_strings[-1] if action.option_strings else action.dest).lstrip("-").upper()
    if action.nargs == "+":
        return f"{name} ..."
    return f"{name} {name}" if action.nargs == 2 else str(name)


def _choices(action: argparse.Action) -> str:
    if action.choices and not isinstance(action, argparse._SubParsersAction):
        return ", ".join(f"`{choice}`" for choice in action.choices)
    return ""


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    default = action.default
    said = "default" in text or text.endswith(")") or action.required or not action.option_strings
    if said or default in (None, False, "", argparse.SUPPRESS) or isinstance(default, tuple) or default == []:
        return text
    return f"{text} (default: {' '.join(default) if isinstance(default, list) else default})"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def _sentence(text: str | None) -> str:
    words = " ".join((text or "").split())
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def main() -> None:
    """Writes the pages."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
