"""A protocol and a request, checked against each other once; it then measures embedded images."""

from typing import Protocol

from urfr_tf.evaluation.distractors import DistractorsMeasurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import Result
from urfr_tf.evaluation.scoring import Faces
from urfr_tf.evaluation.templates import TemplatesMeasurement
from urfr_tf.evaluation.verification import PairListsMeasurement, PairsMeasurement
from urfr_tf.protocols.protocol import AnyProtocol, Distractors, Images, PairLists, Pairs, Templates


class Measurement(Protocol):
    """What each kind of protocol has; its constructor refuses a request that the protocol cannot answer."""

    images: Images
    """What is to be embedded."""
    of_photographs: bool
    """Whether two photographs are compared, so that a threshold also holds for `urfr compare`."""

    def measure(self, faces: Faces, probes: Faces | None = None, *, metrics_only: bool = False) -> Result:
        """Measures the embedded images.

        Args:
            faces: the images, embedded.
            probes: the same images degraded, for the probes; None: they are as they are.
            metrics_only: leave out intervals, thresholds and reject curves.
        """


def plan_measurement(protocol: AnyProtocol, request: EvaluationRequest) -> Measurement:
    """Plans the measurement of a protocol.

    Raises:
        UrfrError: what can be refused before anything is embedded: a FAR with too few impostors behind it, a
            score of templates for images, a gallery of one person.
    """
    match protocol:
        case Pairs():
            return PairsMeasurement(protocol, request)
        case PairLists():
            return PairListsMeasurement(protocol, request)
        case Templates():
            return TemplatesMeasurement(protocol, request)
        case Distractors():
            return DistractorsMeasurement(protocol, request)
