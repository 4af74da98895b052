"""`urfr completion`: a script that completes this command's words in a shell."""

import argparse
from collections.abc import Mapping

HELP = "print a script for a shell that completes commands, options, presets and paths"
SHELLS = ("bash", "zsh", "tcsh")
EPILOG = """\
bash:  urfr completion bash > ~/.local/share/bash-completion/completions/urfr
zsh:   urfr completion zsh > ~/.zfunc/_urfr, with "fpath+=~/.zfunc" before compinit in ~/.zshrc
tcsh:  urfr completion tcsh > ~/.urfr.tcsh, with "source ~/.urfr.tcsh" in ~/.tcshrc
"""
PATHS = frozenset(
    (
        "PATH",
        "FILE",
        "FILE.png",
        "FILE.npz",
        "DIR",
        "DIR|LIST",
        "RUN",
        "SHARDS",
        "MODEL",
        "DATA",
        "PHOTO",
        "FOLDER_OF_PEOPLE",
        "GALLERY",
        "TARGET",
    )
)
"""Words for a value in the help that mean a file or a folder."""
PRESETS = "PRESET|FILE"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(args: argparse.Namespace) -> int:
    """Prints the script; returns 0."""
    print(script(args.shell))
    return 0


def script(shell: str) -> str:
    """Writes the script of one of `SHELLS`.

    Raises:
        UrfrError: a preset cannot be read.
    """
    import shtab

    from urfr_tf.cli import build_parser
    from urfr_tf.config.presets import list_presets

    parser = build_parser()
    presets = {"bash": "_urfr_presets", "zsh": "_urfr_presets", "tcsh": "f"}
    mark_paths(parser, {PRESETS: presets, **dict.fromkeys(PATHS, shtab.FILE)})
    names = " ".join(preset.name for preset in list_presets())
    return str(shtab.complete(parser, shell, preamble=preamble(names)[shell]))


def preamble(presets: str) -> dict[str, str]:
    """Defines for each shell what completes a preset or a file.

    Args:
        presets: their names, with spaces between.
    """
    return {
        "bash": f'_urfr_presets() {{ compgen -W "{presets}" -- "$1"; compgen -f -- "$1"; }}',
        "zsh": f"_urfr_presets() {{ compadd -- {presets}; _files; }}",
        "tcsh": "",
    }


def mark_paths(parser: argparse.ArgumentParser, completions: Mapping[str, object]) -> None:
    """Gives each option of a parser and its subcommands what completes its value, by the word in the help.

    Args:
        parser: the parser, changed in place.
        completions: word in the help -> shtab's `complete`.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                mark_paths(subparser, completions)
        elif isinstance(action.metavar, str) and action.metavar in completions:
            action.complete = completions[action.metavar]  # type: ignore[attr-defined]  # shtab reads it
