"""Writes results/universal.md of the docs from the metrics files of `python -m experiments.universal`."""

from pathlib import Path

from experiments.finetune.page import (
    describe_tests,
    make_cfp_rows,
    make_pair_rows,
    make_video_rows,
    name_rows,
)
from experiments.finetune.plan import SEEN_DEGRADATIONS, SHARE, UNSEEN_DEGRADATIONS
from experiments.reproduce.collect import FIGURES, NOT_RUN, Evaluations, times, write_figures
from experiments.universal.plan import ROWS, STARTS
from urfr_tf.files import write_text

PAGE = "results/universal.md"


def write(runs: Path, docs: Path, earlier_figures: Path | None = None) -> list[Path]:
    """Writes the page and the figures behind it, none where nothing was evaluated; `earlier_figures`: those
    of runs that are elsewhere."""
    named = name_rows(STARTS, ROWS)
    figures = Evaluations(runs, {}, [name for name, _ in named], earlier_figures)
    spent = times(runs, earlier_figures)
    if figures.are_none(docs / PAGE):
        return []
    paths = [docs / PAGE, docs / FIGURES / Path(PAGE).with_suffix(".json").name]
    write_text(paths[0], "\n".join(lines(figures, spent)))
    write_figures(paths[1], figures, spent)
    return paths


def lines(figures: Evaluations, spent: dict[str, float]) -> list[str]:
    """The page; `spent` are seconds by job."""
    named = name_rows(STARTS, ROWS)
    seeds = [seed for seed in figures.seeds if seed]
    return [
        "# The default network made universal: what was measured",
        "",
        "Written by `python -m experiments.universal` from the metrics files of the runs. No figure here is "
        f"typed. Figures are means over the seeds {', '.join(map(str, seeds)) or 'none'} ± standard error of "
        "the mean, over fewer seeds if a row says so. The first row has no seed. "
        f"`{NOT_RUN}` means that there is no such file. The float32 TFLite file of each run is tested.",
        "",
        "    make universal LFW=lfw.tar PAIRS=lfw_pairs.txt GENDER=lfw_gender_by_identity.tsv "
        "CFP=cfp_dev.tar",
        "",
        *describe_tests(figures, spent),
        "",
        "Trained on the people of LFW outside folds 6 to 10. All rows start from the first. "
        f"The rows of URFace are mixed with {SHARE:g} of it. The learning rate is that of the demo.",
        "",
        "## Tested people of LFW: TAR at FAR 1e-3, against every cross-person pair",
        "",
        *make_pair_rows(figures, named, "lfw", ("", *SEEN_DEGRADATIONS)),
        "",
        "Degradations that are in no training:",
        "",
        *make_pair_rows(figures, named, "lfw", UNSEEN_DEGRADATIONS),
        "",
        "## CFP: accuracy",
        "",
        *make_cfp_rows(figures, named),
        "",
        "## Videos of four degraded frames (S2S and S2B, made of LFW's tested people)",
        "",
        *make_video_rows(figures, named),
        "",
        "## Validation people: TAR at FAR 1e-3",
        "",
        *make_pair_rows(figures, named, "validation", ("", *SEEN_DEGRADATIONS, *UNSEEN_DEGRADATIONS)),
        "",
    ]
