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
        "Written by `python -m experiments.reproduce.page`; figures come from the metrics files of the runs.",
        "",
        "## What it is",
        "",
        "Face embeddings with a confidence for each of 16 sub-embeddings (URFace), in eight configurations "
        "(`configs/small/`, docs/results/small.md): an IR-18 at a quarter of its width on crops of 64 "
        "pixels. They are there to compare methods at the scale of two cores. They are not good face "
        "recognition, and no weights are published.",
        "",
        "## What was trained on what",
        "",
        "- Embedding: photographs of people of Labeled Faces in the Wild outside folds 6 to 10 of its "
        "pairs: news photographs of people "
        "in public life; of the 2,528 people in the list of genders 1,761 are men.",
        "- theta_A, whose soft labels are further variations: gender as a published list of two values says "
        "it of people of LFW; smiling by a rule on the corners of the mouth; profile from 50 people of CFP. "
        "Its gender is how a photograph looks, not who somebody is; it serves to take that cue out of the "
        "sub-embeddings, and is not an output of the embedding model.",
        "- Tests: other people of LFW and of CFP, clean and degraded. The TinyFace- and IJB-S-like sets are "
        "made of the same LFW photographs by blur, occlusion, turning and low resolution; real surveillance "
        "images are harder in ways that these are not.",
        "",
        "## Use",
        "",
        "Intended: research and teaching of recognition losses, confidences and their evaluation; checking "
        "this code.",
        "",
        "Not intended: identifying or watching people, decisions about anybody, access control, and "
        "guessing gender, age or any other trait. "
        "A threshold measured here says nothing about other cameras or other people.",
        "",
        "## Accuracy by gender",
        "",
        f"Tested people of LFW whose gender the list gives ({people or 'not run'}); every pair of images "
        "counts, impostors are of the "
        "same gender. One threshold for all: that of FAR 1 % on the validation people. Per cent, mean ± "
        "standard deviation (seeds). Pairs weigh "
        "alike, so people with many photographs weigh most.",
        "",
        *table(["", "TAR men", "TAR women", "FAR men", "FAR women", "women's FAR over men's"], rows),
        "",
        *_what_it_says(evaluations),
        "",
        "## Licences",
        "",
        "- Code: Apache 2.0 (LICENSE). LFW and CFP are for research; the photographs belong to their owners "
        "and are not in this repository. "
        "Nothing at hand says that the people in them were asked.",
        "- The list of genders came without a licence and is not in this repository. The paper's own "
        "training data, MS-Celeb-1M, was withdrawn by its publisher.",
        "- Pictures in docs/results/small.md show points, bars and curves, never a face.",
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
        "At the one threshold, strangers among women are accepted more often than among men in "
        f"{higher['far']} of {n} rows, and the same "
        f"woman is recognised more often than the same man in {higher['tar']} of {n}. Where the false "
        "accept rates differ, one threshold does not "
        "serve both alike: it would have to be set for the group with the higher rate, or the training "
        "people balanced. The list's two "
        "values do not describe everybody."
    ]
