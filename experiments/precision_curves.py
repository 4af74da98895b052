"""Trains one configuration in several precisions and lays their loss curves over each other.

    python experiments/precision_curves.py --config scratch --data SHARDS --out DIR

Every curve is a real `urfr train` with the same seed, batches and start. Prints JSON: the greatest and the
mean relative difference of the loss from the first precision's.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

from urfr_tf.files import write_bytes
from urfr_tf.visualize.canvas import choose_line_style, create_figure, encode_png, style_axes


def curve(config: str, data: str, run: Path, precision: str, sets: list[str]) -> list[float]:
    """The loss of each epoch."""
    chosen = [f"data.train={data}", "train.tensorboard=false", f"runtime.precision={precision}", *sets]
    overrides = [word for each in chosen for word in ("--set", each)]
    train = [sys.executable, "-m", "urfr_tf.train", "--config", config, "--run-dir", str(run)]
    subprocess.run([*train, *overrides], check=True)
    with open(run / "log.csv", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--set", action="append", default=[], dest="sets")
    args = parser.parse_args()
    curves = {p: curve(args.config, args.data, args.out / p, p, args.sets) for p in args.precisions}
    figure = create_figure(6.4, 3.6)
    axes = figure.add_subplot()
    for index, (name, losses) in enumerate(curves.items()):
        axes.plot(range(1, len(losses) + 1), losses, label=name, **choose_line_style(index))
    style_axes(axes, "Loss in training by precision", "epoch", "mean loss of the epoch")
    axes.legend(frameon=False, fontsize=9)
    write_bytes(args.out / "precision_curves.png", encode_png(figure))
    first = curves[args.precisions[0]]
    differences = {}
    for name, losses in curves.items():
        relative = [abs(a - b) / a for a, b in zip(first, losses, strict=True)]
        differences[name] = {
            "greatest": max(relative),
            "mean": sum(relative) / len(relative),
            "last_loss": losses[-1],
        }
    print(json.dumps(differences, indent=1))


if __name__ == "__main__":
    main()
