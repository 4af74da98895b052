"""What an evaluation is to report."""

from dataclasses import dataclass

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.scoring import CONFIDENCE, TEMPLATE_WEIGHTS
from urfr_tf.metrics.fusion import SHARPNESS, check_sharpness


@dataclass(frozen=True)
class EvaluationRequest:
    """What the user wants to know. Its fields have the names of the options of `urfr evaluate`.

    Attributes:
        score: cosine, likelihood or, of templates, weighted.
        fars: asked for by name, or empty for `FARS` as far as they are supported.
        thin_far: give rates with fewer than 10 impostors behind them too, marked.
        impostors: "listed", or "all": every cross-person pair of the set's images.
        replicates: of the bootstrap at most; 0 for no intervals.
        thresholds: whether operating thresholds are calibrated.
        fusion: variance of a fused template, "minimum" or "product".
        sharpness: power of the weights, for the score `weighted`.
        weight: of what, "confidence" or the "norm" of the embedding.
    """

    score: str = "cosine"
    fars: tuple[float, ...] = ()
    thin_far: bool = False
    impostors: str = "listed"
    replicates: int = 1000
    thresholds: bool = True
    fusion: str = "minimum"
    sharpness: float = SHARPNESS
    weight: str = CONFIDENCE

    def __post_init__(self) -> None:
        check_sharpness(self.sharpness)
        if self.impostors not in ("listed", "all"):
            raise UrfrError(f"expected the impostors listed or all, but got {self.impostors}")
        if self.weight not in TEMPLATE_WEIGHTS:
            raise UrfrError(f"expected the weight {' or '.join(TEMPLATE_WEIGHTS)}, but got {self.weight}")
