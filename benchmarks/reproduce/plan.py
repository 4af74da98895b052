"""The pieces of `make reproduce-small`, and what both scales share: the eight rows for each seed."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.reproduce.pieces import REPOSITORY, Piece
from urfr_tf.files import write_text

ROWS = (
    "table2_baseline",
    "table2_baseline_va",
    "table2_all",
    "table2_all_pa",
    "table1_0_0",
    "table1_3_0",
    "table1_3_1",
    "table1_3_3",
)
STAGED = {"table2_all_pa": "table2_all"}
"""A row that goes on from another of the same seed."""
DEGRADED = ("blur:7", "occlusion:3", "pose:45", "resolution:24")
CONFIGS = REPOSITORY / "configs"
URFR = ("-m", "urfr_tf.cli")


@dataclass(frozen=True)
class Wish:
    """What is to be reproduced.

    Attributes:
        runs: folder of data, runs and evaluations.
        seeds: one run of each row for each.
        prefix: of the configurations: "small_" or "".
        sources: paths of the published sets by name (lfw, pairs, gender, cfp, ...).
        overrides: `--set` of all rows. attribute_overrides: `--set` of theta_A.
        size: of the crops in pixels.
        people: a miniature of so many people, or None.
        alias: rows that are another row under a second name.
    """

    runs: Path
    seeds: tuple[int, ...]
    prefix: str
    sources: dict[str, str]
    overrides: tuple[str, ...] = ()
    attribute_overrides: tuple[str, ...] = ()
    size: int = 72
    people: int | None = None
    alias: dict[str, str] = field(default_factory=dict)

    def run(self, seed: int, row: str) -> Path:
        """The run folder of a row."""
        return self.runs / f"seed{seed}" / f"{self.prefix}{row}"

    def evaluation(self, seed: int, row: str) -> Path:
        """The folder of its tests."""
        return self.runs / "evaluation" / f"seed{seed}" / row


def config_of(row: str, prefix: str) -> dict[str, Any]:
    """A row's configuration as it stands in its file."""
    return yaml.safe_load((CONFIGS / f"{prefix}{row}.yaml").read_text(encoding="utf-8"))


def aliases(prefix: str) -> dict[str, str]:
    """Rows that are another row under a second name: the same configuration and so the same run."""
    found: dict[str, str] = {}
    contents: dict[str, str] = {}
    for row in ROWS:
        content = json.dumps({k: v for k, v in config_of(row, prefix).items() if k != "name"}, sort_keys=True)
        if content in contents:
            found[row] = contents[content]
        contents.setdefault(content, row)
    return found


def urfr(name: str, words: list[Any], needs: tuple[str, ...] = ()) -> Piece:
    """A piece that is one `urfr` command."""
    return Piece(name, (*URFR, *map(str, words)), needs)


def settings(values: list[str] | tuple[str, ...]) -> list[str]:
    """`--set` before each."""
    return [part for value in values for part in ("--set", value)]


def small_data(wish: Wish) -> list[Piece]:
    """LFW and CFP -> shards, theta_A, soft labels, and the test sets."""
    data, s = wish.runs / "data", wish.sources
    images, attributes = data / "photographs", wish.runs / "attributes"
    module = "benchmarks.reproduce.lists"
    words = ["-m", module, *(w for n in ("lfw", "pairs", "gender", "cfp") for w in (f"--{n}", s[n]))]
    words += ["--out", str(data), *(["--people", str(wish.people)] if wish.people else [])]
    pieces = [Piece("data/lists", tuple(words))]
    for name in ("train", "validation", "gender_train", "gender_validation", "test"):
        # A tested image without a face that is found still counts: its centre is taken.
        missing = ["--on-missing", "centre"] if name == "test" else []
        words = ["prepare", "--source", "list", "--path", images / f"{name}.csv", "--align", "mtcnn"]
        words += ["--size", wish.size, *missing, "--out", data / name]
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
    pieces += _labels(data, s["gender"], cfp, target, wish.size)
    for name, config, needs in (
        ("gender", "attributes_lfw", ("labels/gender_train/smiling", "labels/gender_validation/smiling")),
        ("profile", "attributes_cfp_profile", ("labels/profile_train", "labels/profile_validation")),
    ):
        paths = [f"data.{part}={data / f'{name}_{part}'}" for part in ("train", "validation")]
        words = ["train", "--config", CONFIGS / f"{config}.yaml", "--run-dir", attributes / name]
        words += settings([*paths, *wish.attribute_overrides])
        pieces.append(urfr(f"attributes/{name}", words, needs))
        words = ["mine", "--model", attributes / name, "--data", target]
        chosen = (f"attributes/{name}", "data/train")
        pieces.append(urfr(f"mine/{name}", words, chosen))
    words = [
        "-m",
        "benchmarks.reproduce.surveillance",
        "--data",
        str(data / "test"),
        "--out",
        str(data / "tests"),
    ]
    pieces.append(Piece("data/tests", tuple(words), ("data/test",)))
    return pieces


def _labels(data: Path, gender: str, cfp: Path, target: Path, size: int) -> list[Piece]:
    """Known attributes beside the shards that theta_A learns from."""
    pieces, script = [], str(REPOSITORY / "benchmarks" / "mined_labels.py")
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
    pairs = ["--protocol", "pairs", "--impostors", "all", "--thin-far"]
    return {
        "validation": [*pairs, "--data", str(data / "validation"), "--far", "1e-2", "1e-3"],
        "lfw": [
            *pairs, "--data", str(data / "test"), "--pairs", str(data / "test_pairs.txt"), "--degrade", *DEGRADED,
        ],
        "cfp": [
            "--protocol", "cfp", "--data", str(data / "tests" / "cfp"), "--align", "points", "--thin-far",
            "--degrade", "blur:7", "resolution:24",
        ],
        **{
            f"tinyface_{size}": [
                "--protocol", "tinyface", "--data", str(data / "tests" / f"tinyface_{size}"), "--align", "none",
            ]
            for size in (16, 24)
        },
        "ijbs": ["--protocol", "ijbs", "--data", str(data / "tests" / "ijbs"), "--align", "none", "--thin-far"],
    }  # fmt: skip


def row_pieces(
    wish: Wish,
    shards: tuple[str, ...],
    mined: tuple[str, ...],
    tested: tuple[str, ...],
    sets: list[str],
    extras: list[str],
) -> list[Piece]:
    """Training and evaluation of each row for each seed.

    Args:
        shards: pieces that every training needs. mined: those that rows with soft labels need besides. tested: those
            that every evaluation needs. sets: `--set` of all trainings. extras: further words of all evaluations.
    """
    pieces = []
    for seed in wish.seeds:
        for row in ROWS:
            if row in wish.alias:
                continue
            run, name = wish.run(seed, row), f"seed{seed}/{row}"
            config = config_of(row, wish.prefix)
            own = [*sets, f"seed={seed}"]
            needs = [*shards, *(mined if config["data"].get("soft_labels") else ())]
            if row in STAGED:
                own.append(f"initial_weights={wish.run(seed, STAGED[row])}")
                needs.append(f"seed{seed}/{STAGED[row]}/train")
            words = ["train", "--config", CONFIGS / f"{wish.prefix}{row}.yaml", "--run-dir", run]
            pieces.append(urfr(f"{name}/train", [*words, *settings([*wish.overrides, *own])], tuple(needs)))
            words = ["-m", "benchmarks.reproduce.evaluate", "--run", str(run)]
            words += ["--score", "likelihood" if row in STAGED else "cosine"]
            words += ["--tests", str(wish.runs / "tests.json"), "--out", str(wish.evaluation(seed, row))]
            words += extras
            pieces.append(Piece(f"{name}/evaluate", tuple(words), (f"{name}/train", *tested)))
    return pieces


def small_plan(wish: Wish) -> list[Piece]:
    """Everything of `make reproduce-small`; writes the list of tests."""
    data = wish.runs / "data"
    write_text(wish.runs / "tests.json", json.dumps(small_tests(wish), indent=1))
    paths = [f"data.train={data / 'train'}", f"data.validation={data / 'validation'}"]
    extras = ["--train", str(data / "train"), "--validation", str(data / "validation")]
    extras += ["--people", str(data / "test"), "--gender", wish.sources["gender"]]
    shards, mined = ("data/train", "data/validation"), ("mine/gender", "mine/profile")
    return [
        *small_data(wish),
        *row_pieces(wish, shards, mined, ("data/test", "data/tests", "data/lists"), paths, extras),
    ]
