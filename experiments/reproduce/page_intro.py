"""The introduction of the results page: what was trained and tested on what, with which network and
machine."""

from pathlib import Path

import yaml

from experiments.reproduce.collect import NOT_RUN, Evaluations
from experiments.reproduce.plan import IMPORTED, suffix
from urfr_tf.files import read_json

_STRANGERS = (
    "What the imported network was trained on is its author's to say, and can include photographs of the "
    "tested people. So its own figures do not measure this code. All rows start from it. What one row has "
    "above another comes from the training here."
)


def small_intro(evaluations: Evaluations, runs: Path, spent: dict[str, float], second: str = "") -> list[str]:
    """The introduction of the page of the small scale; `spent` are seconds by job, `second` is the page's
    name."""
    manifest = runs / "data" / "train" / "manifest.json"
    facts = read_json(manifest) if manifest.is_file() else {}
    trained = f"{facts['images']} images of {facts['classes']} people" if facts else "the people"
    # Runs of earlier versions took LFW's largest face, which is a bystander's in some photographs.
    taken = facts.get("settings", {}).get("faces")
    chosen = f" Of several faces in a photograph the {taken} one was taken." if taken else ""
    return [
        'The command can be interrupted, and continues when it is given again. `REPRODUCE_FLAGS="--seconds '
        '3600"` stops it after an hour, `--only ROW` and `--seeds 1` do less, and `--list` lists what is '
        "done. The page is written again each time, with the figures behind it in docs/results/figures. "
        f"`--seeds 2 --earlier-figures docs/results/figures/small{suffix(second)}.json` adds a seed on a "
        "machine that does not have the other runs.",
        "",
        "## What was trained and tested on what",
        "",
        f"Trained on {trained} of LFW outside folds 6 to 10 of its pairs. Tested on the people of folds 6 to "
        "10, and on CFP. Nobody who is tested is trained on. This includes theta_A, which mines the soft "
        "labels: it learns genders of other people of LFW, and profiles on CFP's fold 01, which is left out "
        "of the test (four folds remain). CFP gives no names, so it is not known whether somebody is in both "
        f"sets. docs/lab/alignment.md describes the LFW archive that was used.{chosen} Nothing was chosen on "
        "tested people: every run ends at its last epoch, and thresholds that are used elsewhere come from "
        "the validation people (every tenth of the others with two images). The rows of a seed start from "
        "the same weights of the embedding network and, up to their scale, of the prototypes. theta_A is "
        "trained once.",
        "",
        *([_STRANGERS, ""] if second == IMPORTED else []),
        *_sizes(evaluations),
        "",
        *_network(runs),
        *_origin(evaluations, spent),
    ]


def _sizes(evaluations: Evaluations) -> list[str]:
    """How much each test rests on."""
    texts = {
        "lfw": "LFW: {genuine} genuine pairs of folds 6 to 10; the impostors of TAR are all pairs of two "
        "people's images.",
        "tinyface_16": "TinyFace-like: {images} images, {distractors} of them distractors, all 16 or 24 "
        "pixels wide.",
        "ijbs": "S2S- and S2B-like: {s2s/probes} videos of four frames, each of a low resolution and by "
        "chance blurred, covered "
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
    begun = f"from the weights of `{Path(start).name}`" if start else "from scratch"
    steps = (
        f"{train['epochs']} epochs of {train['steps_per_epoch'] or 'all'} steps of "
        f"{config['data']['batch_size']} images"
    )
    return [
        f"Network: {model['backbone']}, width {model['width']:g}, {model['input_size']} px, {begun}; "
        f"{steps}.",
        "",
    ]


def _origin(evaluations: Evaluations, spent: dict[str, float]) -> list[str]:
    """Machine, versions and time."""
    origins = evaluations.origins()
    if not origins:
        return []
    train = sum(value for name, value in spent.items() if name.startswith("seed") and name.endswith("/train"))
    named = ", ".join(
        f"{n} {'/'.join(origins[n])}" for n in ("tensorflow", "keras", "tf-keras", "numpy") if n in origins
    )
    return [
        f"Measured on {' / '.join(origins.get('machine', ['?']))}; {named}. Time of all jobs: "
        f"{sum(spent.values()) / 3600:.2f} hours, of which training of the rows {train / 3600:.2f} "
        "(`time.tsv` in the runs' folder has each; other work may have shared the machine).",
        "",
    ]
