"""What cannot be answered is refused when a measurement is planned, and nothing is checked or split twice."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation import verification
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.scoring import make_faces
from urfr_tf.metrics.scored_pairs import ScoredPairs
from urfr_tf.protocols.pairs import generate_pairs
from urfr_tf.protocols.protocol import Distractors, Identification, Images, PairLists, Split, Templates
from urfr_tf.protocols.protocol import Verification as TemplatePairs


def images(count):
    return Images(count, lambda: iter(()))


def pairs():
    return generate_pairs(images(80), np.repeat([f"p{n:02d}" for n in range(20)], 4))


def templates():
    rows = np.arange(6)
    subject = np.array(["a", "a", "b", "b", "c", ""])
    first, second = np.array([0, 0, 1]), np.array([1, 2, 3])
    split = Split(
        TemplatePairs(first, second, subject[first] == subject[second]),
        (Identification("", np.array([1, 3]), (np.array([0, 2, 5]),)),),
    )
    return Templates("t", images(6), rows, rows, rows, subject, (split,))


PROTOCOLS = {
    "pairs": pairs,
    "lists": lambda: PairLists("lists", images(80), {"a": pairs(), "b": pairs()}),
    "templates": templates,
    "distractors": lambda: Distractors("m", images(6), np.array(["a", "a", "b", "b"])),
}


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_a_far_that_is_too_thin_is_refused_in_the_plan(kind):
    with pytest.raises(UrfrError, match="a FAR of 1e-05 needs at least 10 false accepts"):
        plan_measurement(PROTOCOLS[kind](), EvaluationRequest(fars=(1e-5,)))
    assert plan_measurement(PROTOCOLS[kind](), EvaluationRequest(fars=(1e-5,), thin_far=True))


@pytest.mark.parametrize(
    "kind, refused",
    [
        ("pairs", EvaluationRequest("weighted")),
        ("lists", EvaluationRequest("weighted")),
        ("distractors", EvaluationRequest("weighted")),
        ("distractors", EvaluationRequest(impostors="all")),
        ("templates", EvaluationRequest(impostors="all")),
    ],
)
def test_a_request_that_the_protocol_cannot_answer_is_refused_in_the_plan(kind, refused):
    with pytest.raises(UrfrError):
        plan_measurement(PROTOCOLS[kind](), refused)


def test_only_pairs_of_photographs_give_the_model_a_threshold():
    of_photographs = {
        kind: plan_measurement(make(), EvaluationRequest()).of_photographs for kind, make in PROTOCOLS.items()
    }
    assert of_photographs == {"pairs": True, "lists": True, "templates": False, "distractors": False}


@pytest.mark.parametrize("impostors, lists", [("listed", 1), ("all", 2)])
def test_a_list_is_split_once_for_all_fars(monkeypatch, impostors, lists):
    sizes = []

    class Counted(ScoredPairs):
        def __init__(self, scores, same):
            sizes.append(len(same))
            super().__init__(scores, same)

    monkeypatch.setattr(verification, "ScoredPairs", Counted)
    protocol = pairs()
    embedding = np.random.default_rng(0).normal(size=(80, 8))
    request = EvaluationRequest(fars=(0.5, 0.3, 0.1, 0.05), thin_far=True, impostors=impostors)
    result = plan_measurement(protocol, request).measure(make_faces(embedding, None))
    assert len(result.intervals) == 4 and len(sizes) == lists
