"""The jobs of `make reproduce`: MS-Celeb-1M, CelebA and the published tests, and what they will cost."""

from experiments.reproduce.jobs import Job
from experiments.reproduce.plan import STAGED, ReproductionRequest, row_jobs, settings, urfr, write_tests

IMAGES, PEOPLE = 4_800_000, 76_500
"""Of MS-Celeb-1M as the paper cleaned it (supplement, Table 2: 4.8M; identities recalled from the main
paper)."""
MULTIPLY_ADDS = 10.2e9
"""Of our IR-100 for an image of 100 x 100, counted from its layers (docs/guides/train.md)."""
GPUS, MEMORY, FLOPS = 8, 24, 30e12
"""What the hours are calculated for: 8 GPUs of 24 GiB with 30 TFLOP/s sustained each."""
TESTS = {
    "lfw": ["--protocol", "lfw", "--align", "mtcnn", "--impostors", "all"],
    "cfp": ["--protocol", "cfp", "--align", "points"],
    "tinyface": ["--protocol", "tinyface", "--align", "mtcnn", "--on-missing", "centre", "--min-face", "12"],
    "ijbc": ["--protocol", "ijbc", "--align", "mtcnn", "--on-missing", "centre"],
    "ijbs": ["--protocol", "ijbs", "--align", "mtcnn", "--on-missing", "centre", "--min-face", "12"],
}
"""Arguments of `urfr evaluate` where the set is at hand."""


def full_plan(request: ReproductionRequest) -> list[Job]:
    """Everything of `make reproduce`; writes the list of tests, which are those whose data was named."""
    data, s = request.runs / "data", request.sources
    ms1m, celeba, attributes = data / "ms1m", data / "celeba", request.runs / "attributes"
    tests = {name: [*words, "--data", s[name]] for name, words in TESTS.items() if s.get(name)}
    names = ["--attributes", "Male,Young,Smiling"]
    prepare = ["prepare", "--size", 110, "--source"]
    train = ["train", "--config", "attributes/celeba", "--run-dir", attributes]
    train += settings([f"data.train={celeba}", *request.attribute_overrides])
    jobs = [
        urfr("data/ms1m", [*prepare, "insightface", "--path", s["ms1m"], "--out", ms1m]),
        urfr("data/turned", ["turn", ms1m, "--copies", 2], ("data/ms1m",)),
        urfr("data/celeba", [*prepare, "celeba", "--path", s["celeba"], "--out", celeba]),
        urfr(
            "labels/celeba",
            ["mine", "--labels", f"{s['celeba']}/list_attr_celeba.txt", *names, "--data", celeba],
            ("data/celeba",),
        ),
        urfr("attributes/celeba", train, ("labels/celeba",)),
        urfr(
            "mine/celeba", ["mine", "--model", attributes, "--data", ms1m], ("attributes/celeba", "data/ms1m")
        ),
    ]
    sets, extras = [f"data.train={ms1m}"], ["--train", str(ms1m)]
    return [
        *jobs,
        *row_jobs(request, ("data/turned",), ("mine/celeba",), (), sets, write_tests(request, tests), extras),
    ]


def rate(row: str) -> float:
    """Images a second in the training of a row, calculated: GPUS * FLOPS over the operations for an image.

    A step costs three forward passes' worth, two operations a multiply-add; the uncertainty stage, whose
    network is frozen, one forward pass.
    """
    passes = 1 if row in STAGED else 3
    return GPUS * FLOPS / (passes * 2 * MULTIPLY_ADDS)
