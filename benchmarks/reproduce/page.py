"""Writes docs/results.md, its pictures and docs/model_card.md from the metrics files.

python -m benchmarks.reproduce.page --scale small --runs runs/small --docs docs
"""

import argparse
from pathlib import Path

import yaml

from benchmarks.reproduce import tables
from benchmarks.reproduce.card import model_card
from benchmarks.reproduce.collect import FAILS, HOLDS, MIXED, NOT_RUN, Evaluations, judge, times
from benchmarks.reproduce.figures import draw
from benchmarks.reproduce.full import FLOPS, GPUS, IMAGES, MULTIPLY_ADDS, PEOPLE
from benchmarks.reproduce.paper import STATEMENTS
from benchmarks.reproduce.plan import ROWS, aliases
from urfr_tf.files import read_json, write_text

TINY = {"small": ["tinyface_16", "tinyface_24"], "full": ["tinyface"]}
COMMANDS = {
    "small": "make reproduce-small LFW=lfw.tar PAIRS=lfw_pairs.txt GENDER=lfw_gender_by_identity.tsv CFP=cfp_dev.tar",
    "full": "make reproduce MS1M=faces_ms1m CELEBA=CelebA LFW=lfw CFP=cfp TINYFACE=tinyface IJBC=IJB-C IJBS=IJB-S",
}


def main() -> None:
    """Reads the arguments and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", required=True, choices=TINY)
    parser.add_argument("--runs", required=True, type=Path)
    parser.add_argument("--docs", required=True, type=Path)
    parser.add_argument("--name", default="", help="of a second reproduction: results_NAME.md, no model card")
    args = parser.parse_args()
    for path in write(args.scale, args.runs, args.docs, args.name):
        print(path)


def write(scale: str, runs: Path, docs: Path, second: str = "") -> list[Path]:
    """Writes what belongs to a scale; returns the files. The model card is that of the first small reproduction.

    Raises:
        UrfrError: a metrics file does not parse.
    """
    evaluations = Evaluations(runs, aliases("small_" if scale == "small" else ""))
    name = "_".join(["results", *(["full"] if scale == "full" else []), *([second] if second else [])])
    pictures = draw(evaluations, docs / name)
    page = docs / f"{name}.md"
    write_text(
        page,
        "\n".join(results(scale, evaluations, runs, {f"{name}/{k}.png": v for k, v in pictures.items()})),
    )
    made = [page]
    if scale == "small" and not second:
        made.append(docs / "model_card.md")
        write_text(made[-1], "\n".join(model_card(evaluations)))
    return made


def results(scale: str, evaluations: Evaluations, runs: Path, pictures: dict[str, str]) -> list[str]:
    """The page's lines."""
    surveillance = "IJB-S-like, made of LFW" if scale == "small" else "IJB-S"
    return [
        "# Results: the paper's tables, in small" if scale == "small" else "# Results at full scale",
        "",
        "Written by `python -m benchmarks.reproduce.page` from the metrics files of the runs; nothing here is typed. "
        f"Figures are per cent: mean over the seeds ± their standard deviation (number of seeds). `{NOT_RUN}`: no such "
        "file. `thin`: fewer than ten impostors behind the rate. In italics below each row what the paper reports for "
        "it on other data (4.8 million training images; the real TinyFace and IJB-S): the order of the rows can be compared, "
        "the height cannot.",
        "",
        f"    {COMMANDS[scale]}",
        "",
        *(_small_head(evaluations, runs) if scale == "small" else []),
        "## What holds",
        "",
        f"The rule: the difference of the two rows, in the sense of the statement and seed by seed. `{HOLDS}`: positive "
        f"for every seed that has both rows; `{FAILS}`: for none; `{MIXED}`: for some. Three seeds that agree by chance "
        "alone do so one time in four, so three are an indication, and one is hardly that.",
        "",
        *tables.statements(evaluations),
        "",
        _count(evaluations),
        "",
        f"## Surveillance to single ({surveillance})",
        "",
        *tables.surveillance(evaluations, "s2s"),
        "",
        f"## Surveillance to booking ({surveillance})",
        "",
        *tables.surveillance(evaluations, "s2b"),
        "",
        "## Variations in the decorrelation",
        "",
        *tables.variations(evaluations, TINY[scale]),
        "",
        "The paper's last row has the figures of its all + PA; the rows here are scored by cosine, without the uncertainty "
        "stage.",
        "",
        *_same_runs(evaluations),
        "## LFW and CFP",
        "",
        "Accuracy, the threshold of each fold chosen on the other folds, and TAR.",
        "",
        *tables.faces(evaluations),
        "",
        *_pictures(pictures),
        *(_full_scale() if scale == "small" else []),
    ]


def _small_head(evaluations: Evaluations, runs: Path) -> list[str]:
    manifest = runs / "data" / "train" / "manifest.json"
    facts = read_json(manifest) if manifest.is_file() else {}
    trained = f"{facts['images']} images of {facts['classes']} people" if facts else "the people"
    return [
        'It can be interrupted, and the same command goes on; `REPRODUCE_FLAGS="--seconds 3600"` stops after an hour, `--only ROW` '
        "and `--seeds 1` do a part, `--list` tells what is done. The page is written anew each time.",
        "",
        "## What was trained and tested on what",
        "",
        f"Trained on {trained} of LFW outside folds 6 to 10 of its pairs; tested on the people of folds 6 to 10, and on CFP. "
        "Nobody tested is trained on, also not by theta_A, which mines the soft labels: its genders are those of other people of "
        "LFW, and it learns profiles on CFP's fold 01, which is left out of the test (four folds remain). CFP gives no names, so "
        "whether somebody is in both sets is not known; docs/alignment.md tells what is peculiar about the LFW archive at hand. Nothing was chosen on tested people: every run ends at its last epoch, and "
        "thresholds that are used elsewhere come from the validation people (every tenth of the others with two images). "
        "Rows of a seed start from the same weights of the embedding network and, up to their scale, of the prototypes; theta_A is trained once.",
        "",
        *_sizes(evaluations),
        "",
        *_network(runs),
        *_origin(evaluations, runs),
    ]


def _sizes(evaluations: Evaluations) -> list[str]:
    """How much each test rests on."""
    texts = {
        "lfw": "LFW: {genuine} genuine pairs of folds 6 to 10; the impostors of TAR are all pairs of two people's images.",
        "tinyface_16": "TinyFace-like: {images} images, {distractors} of them distractors, all 16 or 24 pixels wide.",
        "ijbs": "S2S- and S2B-like: {s2s/probes} videos of four frames, each of a low resolution and by chance blurred, covered "
        "by a black square or turned, searched among {s2s/gallery} people in two galleries.",
    }
    counts = {test: evaluations.counts(test) for test in texts}
    return [
        f"- {text.format(**counts[test])}" if counts[test] else f"- {text.split(':')[0]}: {NOT_RUN}."
        for test, text in texts.items()
    ]


def _network(runs: Path) -> list[str]:
    """What the runs' own configurations say."""
    path = next(iter(sorted(runs.glob("seed*/small_table2_baseline*/config.yaml"))), None)
    if path is None:
        return []
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    model, train, start = config["model"], config["train"], config.get("initial_weights")
    begun = f"from the weights of `{start}`" if start else "from scratch"
    steps = f"{train['epochs']} epochs of {train['steps_per_epoch'] or 'all'} steps of {config['data']['batch_size']} images"
    return [
        f"Network: {model['backbone']}, width {model['width']:g}, {model['input_size']} px, {begun}; {steps}.",
        "",
    ]


def _origin(evaluations: Evaluations, runs: Path) -> list[str]:
    """Machine, versions and time."""
    origins, spent = evaluations.origins(), times(runs)
    if not origins:
        return []
    train = sum(value for name, value in spent.items() if name.startswith("seed") and name.endswith("/train"))
    named = ", ".join(f"{n} {'/'.join(origins.get(n, ['?']))}" for n in ("tensorflow", "keras", "numpy"))
    return [
        f"Measured on {' / '.join(origins.get('machine', ['?']))}; {named}. Time of all pieces: {sum(spent.values()) / 3600:.2f} "
        f"hours, of which training of the rows {train / 3600:.2f} (`time.tsv` in the runs' folder has each; other work may have "
        "shared the machine).",
        "",
    ]


def _count(evaluations: Evaluations) -> str:
    answers = [judge(evaluations, statement).answer for statement in STATEMENTS]
    counted = ", ".join(f"{kind} {answers.count(kind)}" for kind in (HOLDS, FAILS, MIXED, NOT_RUN))
    return f"Of {len(answers)} statements: {counted}."


def _same_runs(evaluations: Evaluations) -> list[str]:
    if not evaluations.alias:
        return []
    said = " ".join(
        f"`{row}` and `{other}` are one configuration, and the same run."
        for row, other in evaluations.alias.items()
    )
    return [said, ""]


def _pictures(pictures: dict[str, str]) -> list[str]:
    lines = ["## Pictures", ""]
    for path, caption in pictures.items():
        lines += [f"![{caption.split(':')[0]}]({path})", "", caption, ""]
    return lines if pictures else [*lines, f"{NOT_RUN.capitalize()}.", ""]


def _full_scale() -> list[str]:
    return [
        "## The same at full scale",
        "",
        f"    {COMMANDS['full']}",
        "",
        f"The same code with the configurations `table1_*` and `table2_*`, MS-Celeb-1M ({IMAGES / 1e6:.1f} million images of "
        f"{PEOPLE:,} people as an InsightFace archive), CelebA for theta_A, and the published tests; a test whose data is not "
        f"named says `{NOT_RUN}`. Hardware: {GPUS} GPUs of 24 GB. Hours are calculated, not measured: three forward passes' worth of "
        f"work a training image, {MULTIPLY_ADDS / 1e9:.1f} G multiply-adds each, at {FLOPS / 1e12:.0f} TFLOP/s sustained on every "
        "GPU; one pass in the uncertainty stage. Nobody we know of has run it. The paper's figures: Table 1's TinyFace rank 1, 5 and IJB-S "
        "rank 1, 5; Table 2's rank 1 and TPIR at 1 % FPIR.",
        "",
        *tables.calculated_hours(),
        "",
        f"{len(ROWS)} rows and one seed: {sum(tables.hours(row) for row in ROWS if row not in aliases('')):.0f} hours; rows of one "
        "configuration are trained once.",
        "",
    ]


if __name__ == "__main__":
    main()
