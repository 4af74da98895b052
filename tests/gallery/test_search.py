"""Search: exact by every score against float64, whatever came and went; and the decision."""

import numpy as np
import pytest
from gallery_people import GROUPS, WIDTH, crowd, image, probes

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import likelihood_kernel
from urfr_tf.metrics.fusion import SHARPNESS

SCORES = ("likelihood", "cosine", "weighted")


def expected(people, embedding, variance, score):
    """Names and scores for one face, the best first, in float64 by the formulas of the method, section 6."""
    scores = {}
    face = embedding.astype(np.float64).reshape(GROUPS, WIDTH) * np.sqrt(GROUPS)
    for name, images in people:
        stored = np.stack([i.embedding for i in images]).astype(np.float64).reshape(-1, GROUPS, WIDTH)
        precision = np.stack([i.confidence for i in images]).astype(np.float64)[:, :, np.newaxis]
        weights = {"likelihood": precision, "cosine": 1.0, "weighted": precision**SHARPNESS}[score]
        total = (stored * weights).sum(axis=0)
        if score != "cosine":
            total /= np.linalg.norm(total, axis=1, keepdims=True)
        if score == "likelihood":
            spread = 1 / precision.max(axis=0)[:, 0] + variance.astype(np.float64)
            distance = ((face - total) ** 2).sum(axis=1)
            scores[name] = -0.5 * (distance / spread + WIDTH * np.log(spread)).sum()
        else:
            scores[name] = (face * total).sum() / np.linalg.norm(face) / np.linalg.norm(total)
    return sorted(scores.items(), key=lambda item: -item[1])


def assert_exact(gallery, people, face, score, top=5):
    embedding, variance = face
    answers = gallery.search(embedding, variance, top=top, score=score)
    for row, answer in enumerate(answers):
        wanted = expected(people, embedding[row], variance[row], score)[:top]
        assert [each.person for each in answer.candidates] == [name for name, _ in wanted]
        found = [each.score for each in answer.candidates]
        np.testing.assert_allclose(found, [value for _, value in wanted], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("score", SCORES)
def test_search_is_exact_after_additions_and_removals(either, score):
    """70 people fill a panel of the kernel (64 columns at most) and begin another one."""
    people = crowd(70, 2)
    faces = probes([3, 69, 20, 200])
    either.add(people[:66])
    assert_exact(either, people[:66], faces, score)
    either.add(people[66:])
    assert_exact(either, people, faces, score)
    either.remove(["person 3", "person 10"])
    left = [each for each in people if each[0] not in ("person 3", "person 10")]
    assert_exact(either, left, faces, score)
    # Back below one panel, and one more image of somebody.
    either.remove([name for name, _ in left[:20]])
    left = left[20:]
    more = image(np.random.default_rng(3), 69, 7)
    either.add([("person 69", [more])])
    left[-1] = (left[-1][0], [*left[-1][1], more])
    assert_exact(either, left, faces, score)
    assert either.faults() == []


@pytest.mark.parametrize("score", SCORES)
def test_without_the_compiled_kernel_it_is_the_same(gallery, score, monkeypatch):
    monkeypatch.setattr(likelihood_kernel, "load_kernel", lambda: None)
    people = crowd(9)
    gallery.add(people)
    assert_exact(gallery, people, probes([1, 8]), score)
    assert gallery.faults() == []


def test_confidences_beyond_float32_products_are_exact_too(gallery):
    """Variances of 1e-7 and 1e7: a product of four, or a difference of squares, would leave float32."""
    random = np.random.default_rng(0)
    people = []
    for person in range(6):
        one = image(random, person)
        confidence = np.float32(10.0 ** random.choice([-7, 7], GROUPS))
        people.append((f"person {person}", [one._replace(confidence=confidence)]))
    gallery.add(people)
    embedding, _ = probes([2])
    assert_exact(gallery, people, (embedding, np.full([1, GROUPS], 1e-7, np.float32)), "likelihood")


def test_many_faces_at_once(gallery):
    people = crowd(60)
    gallery.add(people)
    embedding, variance = probes(list(range(60)))
    names = [answer.candidates[0].person for answer in gallery.search(embedding, variance, top=1)]
    assert names == [name for name, _ in people]
    assert gallery.search(embedding[:0], variance[:0]) == []


def test_fewer_people_than_candidates(either):
    either.add(crowd(2))
    (answer,) = either.search(*probes([1]), top=5)
    assert len(answer.candidates) == 2 and answer.known is None and answer.person is None
    assert "no calibration exists for the score likelihood" in either.warnings()[0]


def test_a_gallery_that_somebody_else_changes(gallery):
    """Two objects of one file, as two processes have: each sees what the other did."""
    from urfr_tf.gallery import Gallery

    people = crowd(5)
    gallery.add(people[:3])
    with Gallery(gallery.where) as other:
        assert_exact(other, people[:3], probes([1]), "cosine")
        gallery.add(people[3:])
        assert_exact(other, people, probes([4]), "cosine")
        other.remove(["person 4"])
        assert_exact(gallery, people[:4], probes([4]), "cosine")


@pytest.mark.parametrize("damage", ["cut", "header", "gone", "unknown"])
def test_a_matrix_that_does_not_fit_is_written_anew(gallery, tmp_path, damage):
    people = crowd(5)
    gallery.add(people)
    gallery.search(*probes([1]))
    path = tmp_path / "known.gallery-likelihood.matrix"
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        unknown = content.replace(b'"mark": "', b'"mark": "0')
        path.write_bytes(
            {"cut": content[:-9], "header": b"{" * 99 + content[99:], "unknown": unknown}[damage]
        )
    assert_exact(gallery, people, probes([1, 3]), "likelihood")


def test_check_finds_a_matrix_with_another_number(gallery, tmp_path):
    gallery.add(crowd(5))
    gallery.search(*probes([1]))
    path = tmp_path / "known.gallery-likelihood.matrix"
    content = bytearray(path.read_bytes())
    content[16384 + 2] ^= 1  # of the first template
    path.write_bytes(content)
    assert [each for each in gallery.faults() if "likelihood.matrix did not hold" in each]
    assert gallery.faults() == [] and not path.exists()


@pytest.mark.parametrize(
    ("embedding", "variance"),
    [
        (np.ones([1, 5]), np.ones([1, GROUPS])),
        (np.ones([1, GROUPS * WIDTH]), np.ones([1, 1])),
        (np.full([1, GROUPS * WIDTH], np.nan), np.ones([1, GROUPS])),
        (np.ones([1, GROUPS * WIDTH]), np.zeros([1, GROUPS])),
    ],
)
def test_faces_that_are_none_are_a_sentence(gallery, embedding, variance):
    gallery.add(crowd(2))
    with pytest.raises(UrfrError, match=r"expected"):
        gallery.search(embedding, variance)
