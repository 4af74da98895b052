"""Writes docs/results/demo.md: what `make demo` measured, and what its network does to other people's faces.

    python -m experiments.demo_page --run runs/demo --lfw SHARDS --pairs PAIRS [--docs docs]

SHARDS and PAIRS are the test set that `python -m experiments.finetune` prepares (data/test and
data/test_pairs.txt): folds 6 to 10 of LFW's pairs. What was measured is not measured again.
"""

import argparse
import shutil
import sys
from pathlib import Path

from experiments.command import with_sentences
from experiments.reproduce.tables import table
from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    leave_out_keras_3()
    quiet_libraries()

from urfr_tf.cli import main as urfr
from urfr_tf.demo import CONDITIONS, SHOWN_FAR, SYSTEMS, metric_name
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_text

FAR = "1e-3"
ROWS = {
    "before": "default network",
    "after": "fine-tuned",
}
PAGE = """# The demo: what it measures

Written by `python -m experiments.demo_page` from the metrics files of `make demo`. No figure here is typed.
How the settings were chosen is in [the notebook](../lab/demo.md).

![Pairs of faces, clean and degraded, with scores and decisions before and after](demo/faces.png)

The photographs are of ORL (AT&T Laboratories Cambridge). The pairs were not selected: they are the first
two images of each of the first four people that were not trained on, and one pair of two people. The
numbers are cosines. "yes" means that the cosine reaches the threshold of the network for a FAR of 1e-2 in
this column. The head of a column has the share of genuine pairs with a "yes", before and after. Green
decisions are right, orange ones are wrong.

## The ten people of ORL that were not trained on

TAR at FAR 1e-2. {orl_counts}
The second image of each pair is degraded, and each column has the threshold of its own impostor pairs.

{orl}

The second row was adapted to 300 photographs of thirty other people of ORL: one studio, one camera.

## Other people's photographs: LFW

The same networks, which have seen no photograph of LFW. TAR at FAR 1e-3 on folds 6 to 10.
{lfw_counts}

{lfw}

| column | what happens to the second image |
| --- | --- |
| 24 px, 16 px | shrunk to so many pixels a side and enlarged again |
| blur | a Gaussian of sigma 4 px in the crop of 112 px |
| covered | a black square of 48 px |
| JPEG 5 | a JPEG file of quality 5 |
| dark | gamma 4 |

JPEG and gamma are in no training.

Commands: `make demo`, then `{command}`. {machine}
"""


def measure(run: Path, lfw: Path, pairs: Path) -> None:
    """Measures each system on LFW, into `lfw/NAME` of the run.

    Raises:
        UrfrError: a measurement failed; it has printed the reason.
    """
    models = {"before": run / "steps" / "imported"}
    for name in ROWS:
        out = run / "lfw" / name
        if (out / "metrics.json").is_file():
            continue
        words = ["evaluate", "--model", models.get(name, run), "--protocol", "pairs", "--data", lfw]
        words += ["--pairs", pairs, "--align", "none", "--impostors", "all", "--thin-far", "--far", FAR]
        words += ["--degrade", *filter(None, CONDITIONS.values()), "--out", out]
        if urfr([str(word) for word in words]):
            raise UrfrError(f"urfr evaluate of {name} failed")


def make_page(run: Path, command: str) -> str:
    """Makes the page from the metrics files of the demo and of `measure`."""
    parts = {}
    for name, folder, far in (("orl", run / "evaluation", SHOWN_FAR), ("lfw", run / "lfw", FAR)):
        content = {system: read_json(folder / system / "metrics.json") for system in SYSTEMS}
        parts[name] = "\n".join(make_table({key: each["metrics"] for key, each in content.items()}, far))
        counts = content["before"]["counts"]
        parts[f"{name}_counts"] = (
            f"{counts['images']:,} images, {counts['genuine']:,} genuine pairs, "
            f"{counts['impostors']:,} impostor pairs."
        )
    versions = read_json(run / "evaluation" / "after" / "metrics.json")["versions"]
    machine = f"TensorFlow {versions['tensorflow']}, Python {versions['python']}."
    return PAGE.format(command=command, machine=machine, **parts)


def make_table(metrics: dict[str, dict[str, float]], far: str) -> list[str]:
    """A row for each system, a column for each condition."""
    rows = []
    for system, title in ROWS.items():
        figures = [metrics[system][metric_name(condition, far)] for condition in CONDITIONS.values()]
        rows.append([title, *(f"{figure:.3f}" for figure in figures)])
    return table(["", *CONDITIONS], rows)


@with_sentences("demo_page")
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("runs/demo"), help="what `make demo` made")
    parser.add_argument("--lfw", type=Path, required=True, metavar="SHARDS")
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    args = parser.parse_args()
    measure(args.run, args.lfw, args.pairs)
    command = "python -m experiments.demo_page --run runs/demo --lfw SHARDS --pairs PAIRS"
    write_text(args.docs / "results" / "demo.md", make_page(args.run, command))
    pictures = args.docs / "results" / "demo"
    pictures.mkdir(exist_ok=True)
    shutil.copy(args.run / "faces.png", pictures / "faces.png")


if __name__ == "__main__":
    sys.exit(main())
