"""What the paper reports (its supplementary material, Tables 1 and 2), and what it says about it."""

from dataclasses import dataclass

from experiments.reproduce.plan import IMPORTED

TABLE2_COLUMNS = ("rank1", "rank5", "rank10", "tpir@fpir=0.01", "tpir@fpir=0.1")
"""Of IJB-S, surveillance-to-single and then surveillance-to-booking."""
TABLE2 = {
    "PFE": ((50.16, 58.33, 62.28, 31.88, 35.33), (53.60, 61.75, 64.97, 35.99, 39.82)),
    "ArcFace": ((57.35, 64.42, 68.36, 41.85, 50.12), (57.36, 64.95, 68.57, 41.23, 49.18)),
    "table2_baseline": ((47.94, 55.40, 59.37, 25.60, 36.03), (37.14, 46.75, 51.59, 24.75, 31.10)),
    "table2_baseline_va": ((60.61, 66.53, 68.57, 31.97, 44.25), (51.27, 58.94, 63.25, 31.19, 44.22)),
    "table2_all": ((58.94, 65.48, 68.31, 37.57, 50.17), (60.74, 66.59, 68.92, 37.11, 51.00)),
    "table2_all_pa": ((59.79, 65.78, 68.20, 41.06, 53.23), (61.98, 67.12, 69.10, 42.73, 53.48)),
}
"""Per cent: (single, booking) of each row."""
OTHERS = ("PFE", "ArcFace")
"""Rows of Table 2 that are not the paper's own method, nor ours."""
TABLE1 = {
    "table1_0_0": (55.04, 60.97, 59.71, 66.32),
    "table1_3_0": (54.99, 61.32, 62.22, 67.03),
    "table1_3_1": (61.80, 67.94, 62.30, 67.51),
    "table1_3_3": (63.89, 68.67, 61.98, 67.12),
}
"""Per cent: TinyFace rank 1 and 5, IJB-S rank 1 and 5."""
NAMES = {
    IMPORTED: "the imported network",
    "table2_baseline": "Baseline",
    "table2_baseline_va": "Baseline + VA",
    "table2_all": "all",
    "table2_all_pa": "all + PA",
    "table1_0_0": "0 + 0",
    "table1_3_0": "3 + 0",
    "table1_3_1": "3 + 1",
    "table1_3_3": "3 + 3",
}


@dataclass(frozen=True)
class Statement:
    """That `better` has a higher figure than `worse`.

    Attributes:
        text: the statement.
        worse, better: rows.
        test, metric: where it is measured here.
        paper: the paper's two figures in per cent, or None where it only shows a picture.
        lower: the lower figure is the better one.
    """

    text: str
    worse: str
    better: str
    test: str
    metric: str
    paper: tuple[float, float] | None
    lower: bool = False


def _table2(text: str, worse: str, better: str, protocol: str, metric: str) -> Statement:
    side, column = ("s2s", "s2b").index(protocol), TABLE2_COLUMNS.index(metric)
    figures = (TABLE2[worse][side][column], TABLE2[better][side][column])
    return Statement(text, worse, better, "ijbs", f"{protocol}/{metric}", figures)


_AUGMENTATION = "Augmentation lifts a plain embedding on surveillance faces"
_CONFIDENCE = "Confidences and decorrelation lift"
_VARIATIONS = "More variations in the decorrelation help on tiny faces"
_MAP = "With confidences, hard augmented images stay near their own people"
_TINY = (TABLE1["table1_0_0"][0], TABLE1["table1_3_3"][0])
STATEMENTS = (
    _table2(f"{_AUGMENTATION} (single, rank 1)", "table2_baseline", "table2_baseline_va", "s2s", "rank1"),
    _table2(
        f"{_CONFIDENCE} the open-set figure (single, TPIR at 1 % FPIR)",
        "table2_baseline_va", "table2_all", "s2s", "tpir@fpir=0.01",
    ),
    _table2(
        f"{_CONFIDENCE} the booking protocol (rank 1)",
        "table2_baseline_va", "table2_all", "s2b", "rank1",
    ),
    _table2(
        "Aggregation lifts the open-set figure again (single, TPIR at 1 % FPIR)",
        "table2_all", "table2_all_pa", "s2s", "tpir@fpir=0.01",
    ),
    _table2(
        "Aggregation lifts the booking protocol again (rank 1)",
        "table2_all", "table2_all_pa", "s2b", "rank1",
    ),
    Statement(f"{_VARIATIONS} (16 px, rank 1)", "table1_0_0", "table1_3_3", "tinyface_16", "rank1", _TINY),
    Statement(f"{_VARIATIONS} (24 px, rank 1)", "table1_0_0", "table1_3_3", "tinyface_24", "rank1", _TINY),
    Statement(
        f"{_MAP} (share whose nearest other original is of the same person)",
        "table2_baseline_va", "table2_all", "pictures", "augmented_near_own", None,
    ),
    Statement(
        "A plain embedding lets hard augmented images fall into one heap, the proposed one less (rise of the "
        "mean cosine between augmented images of different people over that of their originals)",
        "table2_baseline_va", "table2_all", "pictures", "augmented_heap", None, lower=True,
    ),
)  # fmt: skip
"""In the order of the issue; the supplement gives no figure for its Figure 4."""
