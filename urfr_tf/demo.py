"""`make demo`: real faces in; a trained, measured and exported face embedding out.

30 of the 40 people of ORL are trained on, the other 10 are never seen. Every step is a command of
`urfr`, and one that is done already is reused.
"""

import argparse
import sys
import time
from pathlib import Path

from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    leave_out_keras_3()
    quiet_libraries()

import numpy as np
from numpy.typing import NDArray

from urfr_tf.cli import main as urfr
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_json

TRAINED_ON, UNSEEN = ":30", "30:"
COMPONENTS = 100
FARS = (1e-1, 1e-2)


def demo(run: Path, epochs: int | None) -> None:
    """Prepares, trains, evaluates three systems, exports, and reports.

    Args:
        run: the run folder.
        epochs: another number of epochs than the configuration's, for a short trial.

    Raises:
        UrfrError: a step failed; what was finished is kept.
    """
    started = time.monotonic()
    data = run / "data"
    for name, people in (("train", TRAINED_ON), ("unseen", UNSEEN)):
        command(
            "prepare", "--source", "orl", "--identities", people, "--size", "80", "--out", str(data / name)
        )
    sets = [f"data.train={data / 'train'}", f"data.validation={data / 'unseen'}"]
    sets += [f"train.epochs={epochs}"] if epochs else []
    overrides = [word for each in sets for word in ("--set", each)]
    command("train", "--config", "demo", "--run-dir", str(run), *overrides)
    evaluate_systems(run, data)
    for kind in ("saved_model", "tflite"):
        command(
            "export",
            "--run",
            str(run),
            "--out",
            str(run / "export"),
            "--format",
            kind,
            "--calibration",
            str(data / "unseen"),
        )
    calibrate_exports(run, data)
    command(
        "report",
        "--run",
        str(run),
        "--data",
        str(data / "unseen"),
        "--title",
        "urfr_tf demo: ORL, 10 unseen people",
    )
    print_table(run)
    print(f"\n{time.monotonic() - started:.0f} s. Report: {(run / 'report.html').resolve()}")


def command(*words: str) -> None:
    """Runs one `urfr` command in this process and shows it first.

    Raises:
        UrfrError: the command failed; it has printed the reason.
    """
    print(f"\n$ urfr {' '.join(words)}", flush=True)
    if code := urfr(list(words)):
        raise UrfrError(f"the step '{words[0]}' ended with {code}")


def evaluate_systems(run: Path, data: Path) -> None:
    """Measures the trained model, the untrained network and eigenfaces on the unseen people."""
    from urfr_tf.config.load_config import read_run_config
    from urfr_tf.evaluate import EvaluationOutput, evaluate_embeddings
    from urfr_tf.evaluation.eigenfaces import Eigenfaces
    from urfr_tf.evaluation.request import EvaluationRequest
    from urfr_tf.models.inference_graph import build_inference
    from urfr_tf.protocols.pairs import open_pairs
    from urfr_tf.training.strategy import set_up_strategy
    from urfr_tf.visualize.evaluation_pictures import write_evaluation_pictures

    unseen = str(data / "unseen")
    command(
        "evaluate", "--model", str(run), "--protocol", "pairs", "--data", unseen, "--impostors", "all",
        "--far", *(str(far) for far in FARS), "--out", str(run / "evaluation" / "trained"),
    )  # fmt: skip
    config = read_run_config(run)
    set_up_strategy(config.runtime, config.seed)
    network = build_inference(config)
    images = crops(unseen, config.model.input_size)
    output = network.predict({"image": images}, verbose=0)
    eigenfaces = Eigenfaces(crops(str(data / "train"), config.model.input_size), COMPONENTS)
    others = {
        "untrained": (output["embedding"], output["variance"], "the network before training, the same seed"),
        "eigenfaces": (
            eigenfaces.embed(images),
            None,
            f"{COMPONENTS} components of the training people's pixels",
        ),
    }
    protocol = open_pairs(unseen)
    request = EvaluationRequest(fars=FARS, impostors="all")
    for name, (embedding, variance, what) in others.items():
        result = evaluate_embeddings(embedding, protocol, variance, request)
        about: dict[str, object] = {"note": what, "command": "make demo"}
        output = EvaluationOutput("pairs", name, "cosine", result, about)
        write_evaluation_pictures(output.content(), run / "evaluation" / name)
        output.write(run / "evaluation" / name)
    write_json(run / "metrics.json", read_json(run / "evaluation" / "trained" / "metrics.json"))


def calibrate_exports(run: Path, data: Path) -> None:
    """Measures both exports as they are, and so stores next to each the threshold of `urfr compare`."""
    for name, model in (("saved_model", "saved_model"), ("tflite", "model.tflite")):
        command(
            "evaluate", "--model", str(run / "export" / model), "--protocol", "pairs",
            "--data", str(data / "unseen"), "--impostors", "all",
            "--far", *(str(far) for far in FARS), "--out", str(run / "export" / "evaluation" / name),
        )  # fmt: skip


def crops(shards: str, size: int) -> NDArray[np.float32]:
    """Centre crops of every image, float32 [N, size, size, 3], in the order of the shards."""
    from urfr_tf.training.validation import read_image_batches

    return np.concatenate([images for images, _ in read_image_batches(shards, size)])


def print_table(run: Path) -> None:
    """One table of the three systems, from their metrics files."""
    columns = ("accuracy", "tar@far=1e-1", "tar@far=1e-2", "rank1")
    titles = f"{'accuracy':>16} {'TAR@FAR 1e-1':>13} {'TAR@FAR 1e-2':>13} {'rank 1':>7}"
    print(f"\n{'10 unseen people of ORL':24} {titles}")
    for name in ("trained", "untrained", "eigenfaces"):
        metrics = read_json(run / "evaluation" / name / "metrics.json")["metrics"]
        values = [metrics[column] for column in columns]
        accuracy = f"{values[0]:.3f} +- {metrics['accuracy_stderr']:.3f}"
        print(f"{name:24} {accuracy:>16} {values[1]:>13.3f} {values[2]:>13.3f} {values[3]:>7.3f}")


def main() -> int:
    """The command line of the demo."""
    parser = argparse.ArgumentParser(prog="python -m urfr_tf.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, default=Path("runs/demo"))
    parser.add_argument("--epochs", type=int, help="fewer or more epochs than the preset")
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
