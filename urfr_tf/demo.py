"""`make demo`: a network that knows clean faces learns blurred, tiny and covered ones, and is measured.

The default network is fine-tuned into URFace on 30 of the 40 people of ORL, and measured on the other 10
before and after. Every step is a command of `urfr`, and one that is done already is reused.
"""

import argparse
import sys
import time
from pathlib import Path

from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    leave_out_keras_3()
    quiet_libraries()

from urfr_tf.cli import main as urfr
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_bytes, write_json
from urfr_tf.runs.network_weights import WEIGHTS

TRAINED_ON, UNSEEN = ":30", "30:"
SIZE = 112
SHARE = 0.3
"""Of the default network in the average that is measured."""
FARS = (1e-1, 1e-2)
SHOWN_FAR = "1e-2"
"""The second of them, as metrics.json spells it."""
CONDITIONS = {
    "clean": "",
    "24 px": "resolution:24",
    "16 px": "resolution:16",
    "blur": "blur:25",
    "covered": "occlusion:3",
    "JPEG 5": "jpeg:5",
    "dark": "gamma:4",
}
"""Columns of the table and the picture: what happens to the second image of a pair."""
SYSTEMS = {"before": "default network", "after": "fine-tuned"}
"""Folders below `evaluation`, and the rows of the table."""
SHOWN = 4
"""How many of the unseen people the picture shows."""


def demo(run: Path, epochs: int | None) -> None:
    """Prepares, measures the default network, fine-tunes it, measures again, exports, and reports.

    Args:
        run: the run folder.
        epochs: another number of epochs than the configurations', for a short trial.

    Raises:
        UrfrError: a step failed; what was finished is kept.
    """
    started = time.monotonic()
    prepare(run)
    fine_tune(run, epochs)
    measure(run)
    export(run)
    draw_picture(run)
    unseen = str(run / "data" / "unseen")
    command("report", "--run", str(run), "--data", unseen, "--title", "urfr_tf demo: ORL, 10 unseen people")
    print_table(run)
    print(f"\n{time.monotonic() - started:.0f} s. Picture: {(run / 'faces.png').resolve()}")
    print(f"Report: {(run / 'report.html').resolve()}")
    print(
        "\nThe network is adapted to these photographs, of one studio and one camera. What that does to the "
        "photographs of others is measured in docs/results/demo.md."
    )


def prepare(run: Path) -> None:
    """Makes the shards of both groups of people, and the network to start from."""
    for name, people in (("train", TRAINED_ON), ("unseen", UNSEEN)):
        out = str(run / "data" / name)
        source = ["--source", "orl", "--identities", people, "--align", "mtcnn", "--size", str(SIZE)]
        command("prepare", *source, "--out", out)
    command("import", "--from", "dlib", "--out", str(run / "steps" / "imported"))


def fine_tune(run: Path, epochs: int | None) -> None:
    """URFace from the default network, mixed with it."""
    steps = run / "steps"
    sets = [f"initial_weights={steps / 'imported'}", f"data.train={run / 'data' / 'train'}"]
    sets += [f"train.epochs={epochs}"] if epochs else []
    overrides = [word for each in sets for word in ("--set", each)]
    trained, mixed = str(steps / "finetuned"), steps / "mixed"
    command("train", "--config", "demo/finetune", "--run-dir", trained, *overrides)
    command("mix", "--run", trained, "--share", f"{SHARE:g}", "--out", str(mixed))
    for name in ("config.yaml", "run.json", WEIGHTS):  # the demo's folder is this run
        write_bytes(run / name, (mixed / name).read_bytes())


def measure(run: Path) -> None:
    """Measures the network before and after on the unseen people, clean and degraded."""
    degraded = ["--degrade", *filter(None, CONDITIONS.values())]
    for name, model in (("before", run / "steps" / "imported"), ("after", run)):
        evaluate(run, model, run / "evaluation" / name, *degraded)
    write_json(run / "metrics.json", read_json(run / "evaluation" / "after" / "metrics.json"))


def evaluate(run: Path, model: Path, out: Path, *options: str) -> None:
    """Measures one model on the pairs of the unseen people."""
    data = ["--data", str(run / "data" / "unseen"), "--align", "none", "--impostors", "all"]
    data += ["--far", *(str(far) for far in FARS)]
    command("evaluate", "--model", str(model), "--protocol", "pairs", *data, *options, "--out", str(out))


def export(run: Path) -> None:
    """Exports in both formats, and measures each as it is, which stores the threshold of `urfr compare`."""
    out, calibration = str(run / "export"), str(run / "data" / "train")
    for kind in ("saved_model", "tflite"):
        words = ["--run", str(run), "--out", out, "--format", kind, "--calibration", calibration]
        command("export", *words)
    for name, model in (("saved_model", "saved_model"), ("tflite", "model.tflite")):
        evaluation = run / "export" / "evaluation" / name
        evaluate(run, run / "export" / model, evaluation)


def command(*words: str) -> None:
    """Runs one `urfr` command in this process and shows it first.

    Raises:
        UrfrError: the command failed; it has printed the reason.
    """
    print(f"\n$ urfr {' '.join(words)}", flush=True)
    if code := urfr(list(words)):
        raise UrfrError(f"the step '{words[0]}' ended with {code}")


def draw_picture(run: Path) -> None:
    """Writes `faces.png`: what the network says of pairs of the unseen people, before and after.

    The pairs are not chosen: the first two images of each of the first people, and one of two people. Scores
    are cosines, and each column has its own threshold, as in the table. Its title has the TAR of all pairs.
    """
    import numpy as np

    from urfr_tf.evaluation.degradations import read_degradations
    from urfr_tf.runs.load_model import load_model
    from urfr_tf.training.validation import read_image_batches
    from urfr_tf.visualize.canvas import encode_png
    from urfr_tf.visualize.decisions import decide_pairs
    from urfr_tf.visualize.decisions_figure import draw_decisions

    batches = list(read_image_batches(str(run / "data" / "unseen"), SIZE))
    images = np.concatenate([images for images, _ in batches]).astype(np.uint8)
    labels = np.concatenate([labels for _, labels in batches])
    models = {"before": load_model(run / "steps" / "imported"), "after": load_model(run)}
    degradations = [read_degradations(each)[0] if each else None for each in CONDITIONS.values()]
    people = [np.flatnonzero(labels == label)[:2].tolist() for label in range(SHOWN)]
    pairs = [(a, b) for a, b in [*people, [people[0][0], people[1][0]]]]
    rows = decide_pairs(models, images, labels, degradations, FARS[1], pairs)
    before, after = (list(read_rates(run, name).values()) for name in models)
    columns = zip(CONDITIONS, before, after, strict=True)
    titles = [f"{title}\n{before:.0%} → {after:.0%}" for title, before, after in columns]
    write_bytes(run / "faces.png", encode_png(draw_decisions(rows, titles, list(models))))


def print_table(run: Path) -> None:
    """One table of the systems, from their metrics files."""
    print(f"\n10 unseen people of ORL, TAR at FAR {SHOWN_FAR}; the second image of each pair is degraded")
    print(f"{'':24}" + "".join(f"{title:>9}" for title in CONDITIONS))
    for name, title in SYSTEMS.items():
        print(f"{title:24}" + "".join(f"{rate:>9.3f}" for rate in read_rates(run, name).values()))


def read_rates(run: Path, name: str) -> dict[str, float]:
    """Reads the TAR of one of `SYSTEMS` at `SHOWN_FAR` under each condition."""
    metrics = read_json(run / "evaluation" / name / "metrics.json")["metrics"]
    return {title: metrics[metric_name(condition, SHOWN_FAR)] for title, condition in CONDITIONS.items()}


def metric_name(condition: str, far: str) -> str:
    """Names the TAR of a condition in metrics.json."""
    return f"tar@far={far}" + (f"@{condition.replace(':', '=')}" if condition else "")


def main() -> int:
    """The command line of the demo."""
    parser = argparse.ArgumentParser(prog="python -m urfr_tf.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, default=Path("runs/demo"))
    parser.add_argument("--epochs", type=int, help="fewer or more epochs than the presets")
    args = parser.parse_args()
    try:
        demo(args.run_dir, args.epochs)
    except UrfrError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; what was finished is kept, 'make demo' goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
