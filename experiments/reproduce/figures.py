"""The pictures of the results page, from metrics.json and scores.npz alone; none shows a face."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.reproduce.collect import Evaluations, arrays
from experiments.reproduce.paper import NAMES
from experiments.reproduce.plan import IMPORTED
from urfr_tf.files import write_bytes
from urfr_tf.visualize.canvas import PALETTE, create_figure, encode_png, style_axes
from urfr_tf.visualize.confidence_figure import draw_confidence_changes, draw_confidences
from urfr_tf.visualize.curve_figures import draw_cmc
from urfr_tf.visualize.embedding_map import draw_embedding_map

TABLE2 = ("table2_baseline", "table2_baseline_va", "table2_all", "table2_all_pa")
SHOWN = (*TABLE2, IMPORTED)
"""Those of the curves; the imported network, where there is one, has the last color."""
MARKERS = ("o", "s", "^", "D", "v")
MAPPED = ("table2_baseline_va", "table2_all")
CONFIDENCE = "confidence_"
Drawn = tuple[Figure | None, list[int]]
"""A picture, and the seeds that are in it."""
NOTHING: Drawn = (None, [])


CAPTIONS = {
    "robustness": "LFW accuracy with clean and degraded second images. Points are means over the seeds, "
    "and lines their standard deviation.",
    "cmc": "S2S-like search: share of the probes that are identified within a rank, as mean over the seeds.",
    "map": "Figure 4 of the supplement: training images (circles) and the same with hard augmentation "
    "(triangles), by t-SNE. The color is the person.",
    "confidence": "Figure 1 of the supplement: confidences of each sub-embedding on training images, clean "
    "and under each variation, of the row all.",
    "uncertainty": "Instead of the supplement's Figures 2 and 3, which show faces that we may not publish: "
    "the median of each confidence under each variation, as a multiple of that on clean images. `urfr "
    "report --run RUN --data SHARDS` draws the heatmaps beside the faces.",
}


def draw(evaluations: Evaluations, folder: Path, before: dict[str, str]) -> dict[str, str]:
    """Writes what can be drawn as `folder`/NAME.png; name -> caption, which names the seeds.

    Args:
        evaluations: what was measured.
        folder: of the pictures.
        before: name -> caption of pictures drawn where other runs were; one that cannot be drawn here, and
            whose file is in `folder`, stays with its caption.
    """
    captions_by_name: dict[str, str] = {}
    drawings = {
        "robustness": robustness(evaluations),
        "cmc": curves(evaluations),
        "map": maps(evaluations),
        "confidence": confidences(evaluations, False),
        "uncertainty": confidences(evaluations, True),
    }
    for name, (figure, seeds) in drawings.items():
        if figure is not None:
            write_bytes(folder / f"{name}.png", encode_png(figure))
            captions_by_name[name] = " ".join([CAPTIONS[name], *_named(seeds)])
        elif name in before and (folder / f"{name}.png").is_file():
            captions_by_name[name] = before[name]
    return captions_by_name


def _named(seeds: list[int]) -> list[str]:
    """`Seeds 1, 2.` as the one element; none without a seed, which the imported network has not."""
    return [f"{'Seed' if len(seeds) == 1 else 'Seeds'} {', '.join(map(str, seeds))}."] if seeds else []


def robustness(evaluations: Evaluations) -> Drawn:
    """Points: a group for each condition, one for each row. No bars, as 0.5 is what chance reaches."""
    conditions = degraded(evaluations)
    rows = [row for row in SHOWN if evaluations.spread(row, "lfw", "accuracy")]
    if not rows:
        return NOTHING
    figure = create_figure(8.0, 3.6)
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
    style_axes(axes, "LFW, folds 6 to 10", "", "accuracy")
    axes.set_ylim(max(0.0, min(lowest - 0.05, 0.5)), 1)
    axes.legend(fontsize=9, framealpha=0.9, edgecolor="none", ncols=2)
    trained = {seed for seed, row, test in evaluations.files if test == "lfw" and row != IMPORTED}
    return figure, sorted(trained)


def degraded(evaluations: Evaluations) -> dict[str, str]:
    """Condition -> name of its accuracy on LFW, clean first, as far as there are files."""
    metrics = {"clean": "accuracy"}
    for (_, _, test), content in evaluations.files.items():
        if test == "lfw":
            for name in content["metrics"]:
                if name.startswith("accuracy@"):
                    metrics.setdefault(name.removeprefix("accuracy@"), name)
    return metrics


def curves(evaluations: Evaluations) -> Drawn:
    """CMC of the rows, to the last rank that all of a row's seeds have."""
    lines = {}
    seeds = set()
    for row in SHOWN:
        curves_by_seed = {seed: evaluations.curve(seed, row) for seed in evaluations.seeds}
        whole_curves = {seed: curve for seed, curve in curves_by_seed.items() if curve}
        if whole_curves:
            length = min(map(len, whole_curves.values()))
            mean = np.mean([curve[:length] for curve in whole_curves.values()], axis=0)
            lines[NAMES[row]] = (np.arange(1, length + 1), mean)
            seeds.update(whole_curves if row != IMPORTED else ())
    return (draw_cmc(lines), sorted(seeds)) if lines else NOTHING


def maps(evaluations: Evaluations) -> Drawn:
    """Figure 4: the plain embedding with augmentation and the proposed one, of the smallest seed that has
    both."""
    for seed in evaluations.seeds:
        arrays_by_name = {NAMES[row]: load(evaluations, seed, row, "pictures") for row in MAPPED}
        if all(arrays_by_name.values()):
            points = {name: values["points"] for name, values in arrays_by_name.items()}
            some = next(iter(arrays_by_name.values()))
            return draw_embedding_map(points, some["labels"], some["augmented"]), [seed]
    return NOTHING


def confidences(evaluations: Evaluations, change: bool) -> Drawn:
    """Figure 1, or how the medians change, of the smallest seed."""
    for seed in evaluations.seeds:
        arrays = load(evaluations, seed, "table2_all", "pictures")
        kinds = {k.removeprefix(CONFIDENCE): v for k, v in arrays.items() if k.startswith(CONFIDENCE)}
        if kinds and all(np.isfinite(v).all() and (v > 0).all() for v in kinds.values()):
            return draw_confidence_changes(kinds) if change else draw_confidences(kinds), [seed]
    return NOTHING


def load(evaluations: Evaluations, seed: int, row: str, test: str) -> dict[str, np.ndarray]:
    """The arrays of a test that counts, or none."""
    known = evaluations.file(seed, row, test) is not None
    return arrays(evaluations.folder(seed, row, test)) if known else {}
