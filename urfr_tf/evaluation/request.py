"""What an evaluation is to report."""

from dataclasses import dataclass

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.scoring import CONFIDENCE, COSINE, TEMPLATE_WEIGHTS, check_score
from urfr_tf.metrics.fusion import SHARPNESS, check_sharpness

IMPOSTORS = LISTED, ALL = ("listed", "all")


@dataclass(frozen=True)
class EvaluationRequest:
    """What the user wants to know. Its fields have the names of the options of `urfr evaluate`.

    Attributes:
        score: cosine, likelihood or, of templates, weighted.
        fars: the requested FARs; empty for the usual ones as far as there are impostors for them.
        thin_far: give rates with fewer than 10 impostors behind them too, marked.
        impostors: "listed", or "all": every cross-person pair of the set's images.
        fusion: variance of a fused template, "minimum" or "product".
        sharpness: power of the weights, for the score `weighted`.
        weight: of what, "confidence" or the "norm" of the embedding.
        replicates: of the bootstrap at most; 0 for no intervals.

    Raises:
        UrfrError: another score, other impostors, another weight, a sharpness out of its range.
    """

    score: str = COSINE
    fars: tuple[float, ...] = ()
    thin_far: bool = False
    impostors: str = LISTED
    fusion: str = "minimum"
    sharpness: float = SHARPNESS
    weight: str = CONFIDENCE
    replicates: int = 1000

    def __post_init__(self) -> None:
        check_score(self.score)
        check_sharpness(self.sharpness)
        if self.impostors not in IMPOSTORS:
            raise UrfrError(f"expected the impostors listed or all, but got {self.impostors}")
        if self.weight not in TEMPLATE_WEIGHTS:
            raise UrfrError(f"expected the weight {' or '.join(TEMPLATE_WEIGHTS)}, but got {self.weight}")
