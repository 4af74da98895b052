"""The jobs of `make reproduce-small`: LFW and CFP -> shards, theta_A, soft labels, test sets, and the
rows."""

from collections.abc import Iterable
from pathlib import Path

from experiments.reproduce.jobs import REPOSITORY, Job
from experiments.reproduce.plan import (
    BY_NORM,
    IMPORT,
    MADE,
    VIDEOS,
    WAYS,
    ReproductionRequest,
    imported_weights,
    row_jobs,
    settings,
    urfr,
    write_tests,
)

ATTRIBUTE_SIZE = 72
"""Side in pixels of the crops that theta_A learns and predicts on, whatever the rows' are."""
DEGRADED = ("blur:7", "occlusion:3", "pose:45", "resolution:24")


def small_data(request: ReproductionRequest) -> list[Job]:
    """LFW and CFP -> shards, theta_A, soft labels, and the test sets."""
    data, s = request.runs / "data", request.sources
    images, attributes = data / "photographs", request.runs / "attributes"
    attribute_size = min(ATTRIBUTE_SIZE, request.size)
    module = "experiments.reproduce.lists"
    words = ["-m", module, *(w for n in ("lfw", "pairs", "gender", "cfp") for w in (f"--{n}", s[n]))]
    words += ["--out", str(data), *(["--people", str(request.people)] if request.people else [])]
    jobs = [Job("data/lists", tuple(words))]
    for name in ("train", "validation", "gender_train", "gender_validation", "test"):
        # A tested image without a face that is found still counts: its centre is taken.
        missing = ["--on-missing", "centre"] if name == "test" else []
        words = ["prepare", "--source", "list", "--path", images / f"{name}.csv", "--align", "mtcnn"]
        words += ["--faces", "central"]  # LFW's person is in the middle; bystanders may be larger
        side = attribute_size if name.startswith("gender") else request.size
        words += ["--size", side, *missing, "--out", data / name]
        jobs.append(urfr(f"data/{name}", words, ("data/lists",)))
    cfp, target = data / "cfp_mined_shards", data / "train"
    words = [
        "prepare",
        "--source",
        "cfp",
        "--path",
        data / "cfp_mined",
        "--align",
        "points",
        "--size",
        request.size,
    ]
    jobs.append(urfr("data/cfp_mined", [*words, "--out", cfp], ("data/lists",)))
    jobs += _labels(data, s["gender"], cfp, target, attribute_size)
    gender_labels = tuple(
        f"labels/gender_{split}/{name}" for split in ("train", "validation") for name in ("gender", "smiling")
    )
    for name, config, needs in (
        ("gender", "attributes/lfw", gender_labels),
        ("profile", "attributes/cfp_profile", ("labels/profile_train", "labels/profile_validation")),
    ):
        paths = [f"data.{split}={data / f'{name}_{split}'}" for split in ("train", "validation")]
        words = ["train", "--config", config, "--run-dir", attributes / name]
        words += settings([*paths, *request.attribute_overrides])
        jobs.append(urfr(f"attributes/{name}", words, needs))
        words = ["mine", "--model", attributes / name, "--data", target]
        words += ["--scale-to", attribute_size] if request.size > attribute_size else []
        chosen = (f"attributes/{name}", "data/train")
        jobs.append(urfr(f"mine/{name}", words, chosen))
    words = [
        "-m",
        "experiments.reproduce.surveillance",
        "--data",
        str(data / "test"),
        "--out",
        str(data / "tests"),
        "--sets",
        *MADE,
    ]
    jobs.append(Job("data/tests", tuple(words), ("data/test",)))
    return jobs


def _labels(data: Path, gender: str, cfp: Path, target: Path, size: int) -> list[Job]:
    """Known attributes next to the shards that theta_A learns from."""
    jobs, script = [], str(REPOSITORY / "experiments" / "mined_labels.py")
    splits = ("gender_train", "gender_validation")
    words = [
        script,
        "smiling",
        "--data",
        *(str(data / split) for split in splits),
        "--out",
        str(data / "smiling.tsv"),
    ]
    jobs.append(Job("labels/smiling", tuple(words), tuple(f"data/{split}" for split in splits)))
    for split in splits:
        for name, table in (("gender", gender), ("smiling", data / "smiling.tsv")):
            words = ["mine", "--labels", table, "--data", data / split]
            jobs.append(urfr(f"labels/{split}/{name}", words, ("labels/smiling",)))
    words = [script, "profile", "--cfp", str(cfp), "--target", str(target), "--out", str(data / "profile")]
    jobs.append(Job("labels/profile", tuple(words), ("data/cfp_mined", "data/train")))
    for split in ("train", "validation"):
        shards = data / f"profile_{split}"
        words = ["prepare", "--source", "list", "--path", data / "profile" / f"profile_{split}.csv"]
        words += ["--align", "none", "--size", size, "--out", shards]
        jobs.append(urfr(f"data/profile_{split}", words, ("labels/profile",)))
        words = ["mine", "--labels", data / "profile" / "profile.tsv", "--data", shards]
        jobs.append(urfr(f"labels/profile_{split}", words, (f"data/profile_{split}",)))
    return jobs


def small_tests(request: ReproductionRequest) -> dict[str, list[str]]:
    """Arguments of `urfr evaluate` for each test."""
    data = request.runs / "data"
    pairs = ["--protocol", "pairs", "--impostors", "all"]
    return {
        "validation": [*pairs, "--data", str(data / "validation"), "--far", "1e-2", "1e-3", "--thin-far"],
        "lfw": [
            *pairs, "--data", str(data / "test"), "--pairs", str(data / "test_pairs.txt"),
            "--degrade", *DEGRADED,
        ],
        "cfp": [
            "--protocol", "cfp", "--data", str(data / "tests" / "cfp"), "--align", "points",
            "--degrade", "blur:7", "resolution:24",
        ],
        **{
            f"tinyface_{size}": [
                "--protocol", "tinyface", "--data", str(data / "tests" / f"tinyface_{size}"),
                "--align", "none",
            ]
            for size in (16, 24)
        },
        **videos(data / "tests", [name for name, (_, way) in VIDEOS.items() if way != BY_NORM]),
    }  # fmt: skip


def videos(sets_folder: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Arguments for the tests of these names on the sets in a folder."""
    tests = {}
    for name in names:
        data, way = VIDEOS[name]
        tests[name] = [
            "--protocol",
            "ijbs",
            "--data",
            str(sets_folder / data),
            "--align",
            "none",
            "--thin-far",
            *WAYS[way],
        ]
    return tests


def small_plan(request: ReproductionRequest) -> list[Job]:
    """Everything of `make reproduce-small`; writes the list of tests."""
    data = request.runs / "data"
    tests = write_tests(request, small_tests(request))
    by_norm = [name for name, (_, way) in VIDEOS.items() if way == BY_NORM]
    run_tests = write_tests(request, videos(data / "tests", by_norm))
    paths = [f"data.train={data / 'train'}", f"data.validation={data / 'validation'}"]
    extras = ["--train", str(data / "train"), "--validation", str(data / "validation")]
    extras += ["--people", str(data / "test"), "--gender", request.sources["gender"], "--tflite"]
    shards, mined = ("data/train", "data/validation"), ("mine/gender", "mine/profile")
    return [
        *small_data(request),
        *([imported_weights(request, IMPORT)] if request.sources.get("weights") else []),
        *row_jobs(
            request, shards, mined, ("data/test", "data/tests", "data/lists"), paths, tests, extras, run_tests
        ),
    ]
