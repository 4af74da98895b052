"""The default network made universal: every row, every seed, every test.

    python -m experiments.universal --lfw lfw.tar --pairs lfw_pairs.txt --gender GENDER.tsv --cfp cfp_dev.tar

Give it again to go on: what is done is skipped, what was interrupted continues. Writes
results/universal.md of the docs.
"""

import sys

from experiments.command import with_sentences
from experiments.finetune.__main__ import Study
from experiments.universal.page import PAGE, write
from experiments.universal.plan import ROWS, STARTS, universal_plan


@with_sentences("universal")
def main(argv: list[str] | None = None) -> int:
    """Runs the study of the default network."""
    sources, rows = ("lfw", "pairs", "gender", "cfp"), (*STARTS, *(row.name for row in ROWS))
    return Study("universal", str(__doc__), sources, rows, PAGE, universal_plan, write).run(argv)


if __name__ == "__main__":
    sys.exit(main())
