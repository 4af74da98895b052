"""Fine-tune the default network on a folder of photographs, one folder per person.

    python examples/fine_tune.py faces/ --validation 20 --out runs/mine

The last people in alphabetical order are kept for validation. `--set KEY=VALUE` goes to `urfr train`.
"""

import argparse
from pathlib import Path

from urfr_tf.cli import main as urfr
from urfr_tf.files import read_json


def run(*words: str) -> None:
    """Runs one `urfr` command in this process; it has printed the reason if it fails."""
    if code := urfr(list(words)):
        raise SystemExit(code)


def measure(model: str, data: Path, out: Path) -> None:
    """Prints the accuracy on pairs of images, and with the second image of each pair blurred."""
    for name, degrade in (("clean", ()), ("blurred", ("--degrade", "blur:19"))):
        words = ("--model", model, "--protocol", "pairs", "--data", str(data), "--align", "none", *degrade)
        run("evaluate", *words, "--out", str(out / name))
        metrics = read_json(out / name / "metrics.json")["metrics"]
        print(f"{model}, {name}: accuracy {metrics['accuracy']:.3f}")


def main() -> None:
    """Prepares, measures, trains, mixes with the starting weights, and measures again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", help="a folder with one folder per person")
    parser.add_argument("--validation", type=int, required=True, help="how many people are kept for it")
    parser.add_argument("--out", type=Path, default=Path("runs/mine"))
    args, train_options = parser.parse_known_args()

    split = sum(path.is_dir() for path in Path(args.faces).iterdir()) - args.validation
    sets = {"train": f":{split}", "validation": f"{split}:"}
    prepare = ("prepare", "--source", "folder", "--path", args.faces, "--align", "mtcnn", "--size", "112")
    for name, people in sets.items():
        run(*prepare, "--identities", people, "--out", str(args.out / name))
    measure("default", args.out / "validation", args.out / "before")
    settings = ["initial_weights=default", *(f"data.{name}={args.out / name}" for name in sets)]
    overrides = [word for setting in settings for word in ("--set", setting)]
    trained, mixed = str(args.out / "trained"), str(args.out / "mixed")
    run("train", "--config", "demo/finetune", "--run-dir", trained, *overrides, *train_options)
    run("mix", "--run", trained, "--share", ".3", "--out", mixed)
    measure(mixed, args.out / "validation", args.out / "after")


if __name__ == "__main__":
    main()
