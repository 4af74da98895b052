"""The rows of results/universal.md of the docs: the default network, taught the degradations by LFW.

People, crops and tests are those of `experiments.finetune`.
"""

from experiments.finetune.plan import SHARE, Row, data_jobs, make_tests, row_jobs, start_evaluation
from experiments.reproduce.jobs import Job
from experiments.reproduce.plan import IMPORTED, ReproductionRequest, urfr, write_tests

LONG = ("train.epochs=15",)
ROWS = (
    Row("cosface", "CosFace + augmentation", "finetune/default_cosface"),
    Row("universal", "URFace", "finetune/default_universal", SHARE),
    Row("universal_long", "URFace, 15 epochs", "finetune/default_universal", SHARE, sets=LONG),
)
STARTS = {IMPORTED: "the default network"}
"""Folder -> title of what is tested without a training."""


def universal_plan(request: ReproductionRequest) -> list[Job]:
    """Everything of `python -m experiments.universal`; writes the list of tests."""
    data = request.runs / "data"
    tests = write_tests(request, make_tests(data))
    return [
        *data_jobs(request, data),
        urfr("import", ["import", "--from", "dlib", "--out", request.runs / IMPORTED]),
        start_evaluation(request, IMPORTED, "import", tests),
        *row_jobs(request, ROWS, request.runs / IMPORTED, "import", tests),
    ]
