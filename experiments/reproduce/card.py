"""The model card, with its figures from the metrics files."""

from experiments.reproduce import paper
from experiments.reproduce.collect import Evaluations
from experiments.reproduce.plan import ROWS
from experiments.reproduce.tables import table

FIGURES = ("tar_male", "tar_female", "far_male", "far_female")


def model_card(evaluations: Evaluations) -> list[str]:
    """The lines of docs/results/model_card.md."""
    counts = evaluations.counts("gender")
    people = "; ".join(
        f"{counts[f'{g}_people']} {what} with {counts[f'{g}_images']} images, {counts[f'{g}_tar_pairs']:,} "
        f"genuine and {counts[f'{g}_far_pairs']:,} impostor pairs"
        for g, what in (("male", "men"), ("female", "women"))
        if f"{g}_people" in counts
    )
    rows = [
        [
            paper.NAMES[row],
            *(evaluations.cell(row, "gender", name) for name in FIGURES),
            _gap(evaluations, row),
        ]
        for row in ROWS
    ]
    return [
        "# Model card: the small edition",
        "",
        "Written by `python -m experiments.reproduce.page` from the metrics files of the runs. No figure "
        "here is typed.",
        "",
        "## What it is",
        "",
        "Face embeddings with a confidence for each of 16 sub-embeddings (URFace), in eight configurations "
        "(`configs/small/`, docs/results/small.md). The network is an IR-18 of a quarter of the usual "
        "width, on crops of 64 pixels. The models exist to compare methods on two cores. They are not good "
        "at face recognition, and no weights are published.",
        "",
        "## What was trained on what",
        "",
        "- The embedding was trained on Labeled Faces in the Wild, on the people outside folds 6 to 10 of "
        "its pairs. These are news photographs of people in public life. Of the 2,528 people in the list "
        "of genders, 1,761 are men.",
        "- theta_A gives soft labels for further variations. Gender comes from a published list of two "
        "values for people of LFW, smiling from a rule on the corners of the mouth, and profile from 50 "
        "people of CFP. Gender here means how a photograph looks, not who somebody is. It is used to "
        "remove that cue from the sub-embeddings, and the embedding model does not output it.",
        "- The tests use other people of LFW and CFP, clean and degraded. The TinyFace- and IJB-S-like "
        "sets are made of the same LFW photographs by blur, occlusion, turning and low resolution. Real "
        "surveillance images are harder in other ways, too.",
        "",
        "## Use",
        "",
        "Intended: research and teaching about recognition losses, confidences and their evaluation, and "
        "checks of this code.",
        "",
        "Not intended: identifying or watching people, decisions about anybody, access control, and "
        "guessing gender, age or any other trait. A threshold that was measured here is not valid for "
        "other cameras or other people.",
        "",
        "## Accuracy by gender",
        "",
        f"Tested people of LFW whose gender is in the list: {people or 'not run'}. Every pair of images "
        "counts. Impostors have the same gender. All rows have one threshold, that of a FAR of 1 % on the "
        "validation people. Figures are per cent, as mean ± standard deviation (seeds). All pairs have the "
        "same weight, so people with many photographs count most.",
        "",
        *table(["", "TAR men", "TAR women", "FAR men", "FAR women", "women's FAR over men's"], rows),
        "",
        *_what_it_says(evaluations),
        "",
        "## Licenses",
        "",
        "- The code is under Apache 2.0 (LICENSE). LFW and CFP are for research. Their photographs belong "
        "to their owners and are not in this repository. We do not know whether the people in them were "
        "asked.",
        "- The list of genders has no license and is not in this repository. The publisher of the paper's "
        "training data, MS-Celeb-1M, has withdrawn it.",
        "- The pictures in docs/results/small.md show points, bars and curves, never a face.",
        "",
    ]


def _gap(evaluations: Evaluations, row: str) -> str:
    men, women = (evaluations.spread(row, "gender", f"far_{g}") for g in ("male", "female"))
    return f"{women.mean / men.mean:.2f}" if men and women and men.mean > 0 else "not run"


def _what_it_says(evaluations: Evaluations) -> list[str]:
    """A sentence for the rows that were measured, by rule."""
    higher = {"tar": 0, "far": 0}
    measured = [row for row in ROWS if evaluations.spread(row, "gender", "far_male")]
    measured = [row for row in measured if evaluations.spread(row, "gender", "far_female")]
    for row in measured:
        for kind in higher:
            men, women = (evaluations.spread(row, "gender", f"{kind}_{g}") for g in ("male", "female"))
            higher[kind] += bool(men and women and women.mean > men.mean)
    if not measured:
        return ["Not run: nothing can be said yet."]
    n = len(measured)
    return [
        "At this threshold, impostor pairs of women are accepted more often than those of men in "
        f"{higher['far']} of {n} rows, and genuine pairs of women more often than those of men in "
        f"{higher['tar']} of {n}. Where the false accept rates differ, one threshold does not treat both "
        "groups alike. Set it for the group with the higher rate, or balance the people that are trained "
        "on. The two values of the list do not describe everybody."
    ]
