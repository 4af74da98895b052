"""The pieces of `make reproduce-small`: LFW and CFP -> shards, theta_A, soft labels, test sets, and the rows."""

from collections.abc import Iterable
from pathlib import Path

from experiments.reproduce.jobs import REPOSITORY, Piece
from experiments.reproduce.plan import (
    BY_NORM,
    IMPORT,
    MADE,
    VIDEOS,
    WAYS,
    Wish,
    imported_weights,
    row_pieces,
    settings,
    urfr,
    write_tests,
)

ATTRIBUTE_SIZE = 72
"""Side in pixels of the crops that theta_A learns and predicts on, whatever the rows' are."""
DEGRADED = ("blur:7", "occlusion:3", "pose:45", "resolution:24")


def small_data(wish: Wish) -> list[Piece]:
    """LFW and CFP -> shards, theta_A, soft labels, and the test sets."""
    data, s = wish.runs / "data", wish.sources
    images, attributes = data / "photographs", wish.runs / "attributes"
    attribute_size = min(ATTRIBUTE_SIZE, wish.size)
    module = "experiments.reproduce.lists"
    words = ["-m", module, *(w for n in ("lfw", "pairs", "gender", "cfp") for w in (f"--{n}", s[n]))]
    words += ["--out", str(data), *(["--people", str(wish.people)] if wish.people else [])]
    pieces = [Piece("data/lists", tuple(words))]
    for name in ("train", "validation", "gender_train", "gender_validation", "test"):
        # A tested image without a face that is found still counts: its centre is taken.
        missing = ["--on-missing", "centre"] if name == "test" else []
        words = ["prepare", "--source", "list", "--path", images / f"{name}.csv", "--align", "mtcnn"]
        words += ["--faces", "central"]  # LFW's person is in the middle; bystanders may be larger
        side = attribute_size if name.startswith("gender") else wish.size
        words += ["--size", side, *missing, "--out", data / name]
        pieces.append(urfr(f"data/{name}", words, ("data/lists",)))
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
        wish.size,
    ]
    pieces.append(urfr("data/cfp_mined", [*words, "--out", cfp], ("data/lists",)))
    pieces += _labels(data, s["gender"], cfp, target, attribute_size)
    gender_labels = tuple(
        f"labels/gender_{part}/{name}" for part in ("train", "validation") for name in ("gender", "smiling")
    )
    for name, config, needs in (
        ("gender", "attributes/lfw", gender_labels),
        ("profile", "attributes/cfp_profile", ("labels/profile_train", "labels/profile_validation")),
    ):
        paths = [f"data.{part}={data / f'{name}_{part}'}" for part in ("train", "validation")]
        words = ["train", "--config", config, "--run-dir", attributes / name]
        words += settings([*paths, *wish.attribute_overrides])
        pieces.append(urfr(f"attributes/{name}", words, needs))
        words = ["mine", "--model", attributes / name, "--data", target]
        words += ["--scale-to", attribute_size] if wish.size > attribute_size else []
        chosen = (f"attributes/{name}", "data/train")
        pieces.append(urfr(f"mine/{name}", words, chosen))
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
    pieces.append(Piece("data/tests", tuple(words), ("data/test",)))
    return pieces


def _labels(data: Path, gender: str, cfp: Path, target: Path, size: int) -> list[Piece]:
    """Known attributes beside the shards that theta_A learns from."""
    pieces, script = [], str(REPOSITORY / "experiments" / "mined_labels.py")
    parts = ("gender_train", "gender_validation")
    words = [
        script,
        "smiling",
        "--data",
        *(str(data / part) for part in parts),
        "--out",
        str(data / "smiling.tsv"),
    ]
    pieces.append(Piece("labels/smiling", tuple(words), tuple(f"data/{part}" for part in parts)))
    for part in parts:
        for name, table in (("gender", gender), ("smiling", data / "smiling.tsv")):
            words = ["mine", "--labels", table, "--data", data / part]
            pieces.append(urfr(f"labels/{part}/{name}", words, ("labels/smiling",)))
    words = [script, "profile", "--cfp", str(cfp), "--target", str(target), "--out", str(data / "profile")]
    pieces.append(Piece("labels/profile", tuple(words), ("data/cfp_mined", "data/train")))
    for part in ("train", "validation"):
        shards = data / f"profile_{part}"
        words = ["prepare", "--source", "list", "--path", data / "profile" / f"profile_{part}.csv"]
        words += ["--align", "none", "--size", size, "--out", shards]
        pieces.append(urfr(f"data/profile_{part}", words, ("labels/profile",)))
        words = ["mine", "--labels", data / "profile" / "profile.tsv", "--data", shards]
        pieces.append(urfr(f"labels/profile_{part}", words, (f"data/profile_{part}",)))
    return pieces


def small_tests(wish: Wish) -> dict[str, list[str]]:
    """Arguments of `urfr evaluate` for each test."""
    data = wish.runs / "data"
    pairs = ["--protocol", "pairs", "--impostors", "all"]
    return {
        "validation": [*pairs, "--data", str(data / "validation"), "--far", "1e-2", "1e-3", "--thin-far"],
        "lfw": [
            *pairs, "--data", str(data / "test"), "--pairs", str(data / "test_pairs.txt"), "--degrade", *DEGRADED,
        ],
        "cfp": [
            "--protocol", "cfp", "--data", str(data / "tests" / "cfp"), "--align", "points",
            "--degrade", "blur:7", "resolution:24",
        ],
        **{
            f"tinyface_{size}": [
                "--protocol", "tinyface", "--data", str(data / "tests" / f"tinyface_{size}"), "--align", "none",
            ]
            for size in (16, 24)
        },
        **videos(data / "tests", [name for name, (_, way) in VIDEOS.items() if way != BY_NORM]),
    }  # fmt: skip


def videos(made: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Arguments for the tests of these names on the sets in a folder."""
    found = {}
    for name in names:
        data, way = VIDEOS[name]
        found[name] = [
            "--protocol",
            "ijbs",
            "--data",
            str(made / data),
            "--align",
            "none",
            "--thin-far",
            *WAYS[way],
        ]
    return found


def small_plan(wish: Wish) -> list[Piece]:
    """Everything of `make reproduce-small`; writes the list of tests."""
    data = wish.runs / "data"
    tests = write_tests(wish, small_tests(wish))
    by_norm = [name for name, (_, way) in VIDEOS.items() if way == BY_NORM]
    run_tests = write_tests(wish, videos(data / "tests", by_norm))
    paths = [f"data.train={data / 'train'}", f"data.validation={data / 'validation'}"]
    extras = ["--train", str(data / "train"), "--validation", str(data / "validation")]
    extras += ["--people", str(data / "test"), "--gender", wish.sources["gender"], "--tflite"]
    shards, mined = ("data/train", "data/validation"), ("mine/gender", "mine/profile")
    return [
        *small_data(wish),
        *([imported_weights(wish, IMPORT)] if wish.sources.get("weights") else []),
        *row_pieces(
            wish, shards, mined, ("data/test", "data/tests", "data/lists"), paths, tests, extras, run_tests
        ),
    ]
