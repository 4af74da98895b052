"""The pictures of the results page, from metrics.json and scores.npz alone; none shows a face."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.reproduce.collect import SCORES, Evaluations
from benchmarks.reproduce.paper import NAMES
from benchmarks.reproduce.plan import IMPORTED
from urfr_tf.files import write_bytes
from urfr_tf.visualize.canvas import PALETTE, new_figure, plain_axes, png
from urfr_tf.visualize.confidence import change_figure, confidence_figure
from urfr_tf.visualize.curves import cmc_figure
from urfr_tf.visualize.embedding_map import embedding_map_figure

TABLE2 = ("table2_baseline", "table2_baseline_va", "table2_all", "table2_all_pa")
SHOWN = (*TABLE2, IMPORTED)
"""Those of the curves; the imported network, where there is one, has the last colour."""
MARKERS = ("o", "s", "^", "D", "v")
MAPPED = ("table2_baseline_va", "table2_all")
CONFIDENCE = "confidence_"


def draw(evaluations: Evaluations, folder: Path) -> dict[str, str]:
    """Writes what can be drawn as `folder`/NAME.png; name -> caption."""
    made: dict[str, str] = {}
    for name, (figure, caption) in {
        "robustness": (robustness(evaluations), "LFW accuracy with clean and degraded second images; points are means over the seeds, lines their standard deviation."),
        "cmc": (curves(evaluations), "S2S-like search: identified within the rank, mean over the seeds whose runs were at hand."),
        "map": (maps(evaluations), "Figure 4 of the supplement: training images (circles) and the same, hard augmented (triangles), by t-SNE; colour is the person. The smallest seed that has both."),
        "confidence": (confidences(evaluations, False), "Figure 1 of the supplement: confidences of each sub-embedding over training images, clean and under each variation; row all, the smallest seed."),
        "uncertainty": (confidences(evaluations, True), "In place of the supplement's Figures 2 and 3, whose faces are not ours to publish: what each variation does to each confidence, the median as a multiple of that on clean images. `urfr report --run RUN --data SHARDS` draws the heatmaps beside the faces."),
    }.items():  # fmt: skip
        if figure is not None:
            write_bytes(folder / f"{name}.png", png(figure))
            made[name] = caption
    return made


def robustness(evaluations: Evaluations) -> Figure | None:
    """Points: a group for each condition, one for each row. No bars, as 0.5 is what chance reaches."""
    conditions = degraded(evaluations)
    rows = [row for row in SHOWN if evaluations.spread(row, "lfw", "accuracy")]
    if not rows:
        return None
    figure = new_figure(8.0, 3.6)
    axes = figure.add_subplot()
    width = 0.8 / len(rows)
    lowest = 1.0
    for index, row in enumerate(rows):
        spreads = [evaluations.spread(row, "lfw", metric) for metric in conditions.values()]
        places = np.array([place for place, spread in enumerate(spreads) if spread]) + width * index
        shown = [spread for spread in spreads if spread]
        means = [spread.mean for spread in shown]
        lowest = min(lowest, *means)
        # Of one seed there is no deviation, and no line.
        errors = [np.nan if spread.deviation is None else spread.deviation for spread in shown]
        axes.errorbar(
            places,
            means,
            errors,
            fmt=MARKERS[index],
            capsize=4,
            markersize=7,
            label=NAMES[row],
            color=PALETTE[index],
        )
    axes.set_xticks(np.arange(len(conditions)) + 0.4 - width / 2, list(conditions))
    plain_axes(axes, "LFW, folds 6 to 10", "", "accuracy")
    axes.set_ylim(max(0.0, min(lowest - 0.05, 0.5)), 1)
    axes.legend(fontsize=9, framealpha=0.9, edgecolor="none", ncols=2)
    return figure


def degraded(evaluations: Evaluations) -> dict[str, str]:
    """Condition -> name of its accuracy on LFW, clean first, as far as there are files."""
    found = {"clean": "accuracy"}
    for (_, _, test), content in evaluations.files.items():
        if test == "lfw":
            for name in content["metrics"]:
                if name.startswith("accuracy@"):
                    found.setdefault(name.removeprefix("accuracy@"), name)
    return found


def curves(evaluations: Evaluations) -> Figure | None:
    """CMC of the rows, to rank 20."""
    lines = {}
    for row in SHOWN:
        found = [load(evaluations, seed, row, "ijbs").get("s2s/cmc") for seed in evaluations.seeds]
        kept = [curve for curve in found if curve is not None]
        if kept:
            length = min(20, *(len(curve) for curve in kept))
            lines[NAMES[row]] = (
                np.arange(1, length + 1),
                np.mean([curve[:length] for curve in kept], axis=0),
            )
    return cmc_figure(lines) if lines else None


def maps(evaluations: Evaluations) -> Figure | None:
    """Figure 4: the plain embedding with augmentation beside the proposed one, of one seed."""
    for seed in evaluations.seeds:
        arrays = {NAMES[row]: load(evaluations, seed, row, "pictures") for row in MAPPED}
        if all(arrays.values()):
            points = {name: values["points"] for name, values in arrays.items()}
            some = next(iter(arrays.values()))
            return embedding_map_figure(points, some["labels"], some["augmented"])
    return None


def confidences(evaluations: Evaluations, change: bool) -> Figure | None:
    """Figure 1, or how the medians change."""
    for seed in evaluations.seeds:
        arrays = load(evaluations, seed, "table2_all", "pictures")
        kinds = {k.removeprefix(CONFIDENCE): v for k, v in arrays.items() if k.startswith(CONFIDENCE)}
        if kinds and all(np.isfinite(v).all() and (v > 0).all() for v in kinds.values()):
            return change_figure(kinds) if change else confidence_figure(kinds)
    return None


def load(evaluations: Evaluations, seed: int, row: str, test: str) -> dict[str, Any]:
    """The arrays of a scores.npz, or none."""
    path = evaluations.folder(seed, row, test) / SCORES
    if evaluations.file(seed, row, test) is None or not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
