"""What full scale takes, by `urfr plan`: docs/results/figures/plan.json, from which the results page has its
last table.

    python -m experiments.reproduce.costs

Made anew when a configuration of the full scale or the planning changes; takes a minute, and none of the
data.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from experiments.command import with_sentences
from experiments.reproduce.collect import FIGURES
from experiments.reproduce.full import GPUS, IMAGES, MEMORY, PEOPLE, rate
from experiments.reproduce.jobs import REPOSITORY, environment
from experiments.reproduce.plan import ROWS, URFR, aliases, preset_of
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_text

PLAN = "plan.json"


def plan_words(row: str) -> list[str]:
    """Arguments of `urfr plan` for a row at full scale."""
    words = ["plan", "--config", preset_of(row, ""), "--classes", PEOPLE, "--images", IMAGES]
    words += ["--replicas", GPUS, "--memory", MEMORY, "--rate", f"{rate(row):.0f}"]
    return [str(word) for word in words]


def costs() -> dict[str, dict[str, Any]]:
    """What `urfr plan` says of each row that is trained.

    Raises:
        UrfrError: a plan failed, or does not fit.
    """
    costs_by_row = {}
    for row in ROWS:
        if row in aliases(""):
            continue
        words = [sys.executable, *URFR, *plan_words(row), "--json"]
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise UrfrError(f"no plan of {row}: {done.stderr[-500:]}")
        planned = json.loads(done.stdout)
        costs_by_row[row] = {
            name: planned[name] for name in ("images_seen", "steps", "needed", "fits", "hours")
        }
    return costs_by_row


def read(docs: Path) -> dict[str, dict[str, Any]]:
    """What `main` wrote below docs; nothing where it did not."""
    path = docs / FIGURES / PLAN
    return read_json(path) if path.is_file() else {}


@with_sentences("costs")
def main() -> int:
    """Writes the file; 1 if a plan failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs", help="below which figures/ lies")
    args = parser.parse_args()
    costs_by_row = costs()
    path = args.docs / FIGURES / PLAN
    write_text(path, json.dumps(costs_by_row, indent=1) + "\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
