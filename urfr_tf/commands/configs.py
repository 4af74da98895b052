"""`urfr configs`: the presets that `--config` takes by name."""

import argparse

HELP = "list the presets that --config takes by name"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Prints one line for each preset, its name and what it is; returns 0.

    Raises:
        UrfrError: a preset cannot be read.
    """
    import dataclasses
    import json

    from urfr_tf.config.presets import list_presets

    presets = list_presets()
    if args.json:
        print(json.dumps({"presets": [dataclasses.asdict(preset) for preset in presets]}))
        return 0
    width = max(len(preset.name) for preset in presets)
    for preset in presets:
        print(f"{preset.name:{width}}  {preset.description}")
    return 0
