"""Figures of pairs, worked out by hand on embeddings in the plane."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluate import evaluate_embeddings
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.results import rate_name
from urfr_tf.evaluation.scoring import make_faces
from urfr_tf.protocols.pairs import generate_pairs
from urfr_tf.protocols.protocol import Images, Pairs


def plane(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def protocol(identity):
    return generate_pairs(Images(len(identity), lambda: iter(())), np.array(identity))


def test_three_people_by_hand():
    # a at 0 and 10 degrees, b at 90 and 100, c at 5 alone: c lies between the two of a.
    pairs = protocol(["a", "a", "b", "b", "c"])
    result = evaluate_embeddings(
        plane(0, 10, 90, 100, 5), pairs, request=EvaluationRequest(fars=(1.0,), thin_far=True)
    )
    # Genuine: cos 10 twice. Impostors: cos of 90, 100, 80, 90 (a, b), 5, 5 (a, c), 85, 95 (b, c).
    # FAR 1 lets all 8 impostors through: threshold cos 100 < 0; both genuine pairs pass.
    assert result.metrics["tar@far=1e0"] == 1
    assert result.counts["genuine"] == 2 and result.counts["impostors"] == 8
    # Gallery: a at 0, b at 90, c at 5. Probe a at 10 is nearer to c (5) than to a (10): rank 2. Probe b: rank
    # 1.
    assert result.metrics["rank1"] == 0.5 and "rank5" not in result.metrics
    np.testing.assert_allclose(result.arrays["cmc"], [0.5, 1, 1])
    assert result.thin == ["tar@far=1e0"]


def test_too_thin_a_far_is_refused_by_name_and_the_usual_ones_are_listed():
    pairs = protocol(["a", "a", "b", "b", "c"])
    with pytest.raises(UrfrError, match=r"a FAR of 0\.1 needs .* 100 impostor pairs, but there are 8;"):
        evaluate_embeddings(plane(0, 10, 90, 100, 5), pairs, request=EvaluationRequest(fars=(0.1,)))
    result = evaluate_embeddings(plane(0, 10, 90, 100, 5), pairs)
    assert not [name for name in result.metrics if name.startswith("tar")]
    assert {"tar@far=1e-1", "tar@far=1e-6"} <= set(result.refused)


def crowd(seed=0, people=30, images=4):
    random = np.random.default_rng(seed)
    identity = np.repeat([f"p{i}" for i in range(people)], images)
    centers = np.repeat(random.normal(size=(people, 16)), images, axis=0)
    return centers + random.normal(0, 0.9, centers.shape), protocol(identity)


def test_all_impostors_are_every_cross_person_pair():
    embedding, pairs = crowd()
    listed = evaluate_embeddings(embedding, pairs, request=EvaluationRequest(fars=(0.1,)))
    everyone = evaluate_embeddings(
        embedding, pairs, request=EvaluationRequest(fars=(0.1, 0.002), impostors="all")
    )
    # 120 images: 7140 pairs, of which 30 x 6 = 180 are genuine. Within folds: 10 (12 x 11 / 2 - 18) = 480.
    assert everyone.counts["impostors"] == 6960 and listed.counts["impostors"] == 480
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    i, j = np.triu_indices(120, 1)
    scores, same = (unit @ unit.T)[i, j], pairs.identity[i] == pairs.identity[j]
    threshold = np.sort(scores[~same])[-round(6960 * 0.002)]
    assert everyone.metrics["tar@far=2e-3"] == pytest.approx(
        (scores[same] >= threshold - 1e-6).mean(), abs=1e-9
    )
    assert everyone.metrics["accuracy"] == listed.metrics["accuracy"]
    # Next to them the rate over the 480 listed: 48 of them behind .1, one behind .002, which is thin and was
    # not asked for.
    assert everyone.metrics["tar_listed@far=1e-1"] == listed.metrics["tar@far=1e-1"]
    assert "tar_listed@far=2e-3" not in everyone.metrics and "tar_listed@far=1e-1" not in listed.metrics
    wanted = evaluate_embeddings(
        embedding, pairs, request=EvaluationRequest(fars=(0.002, 0.001), thin_far=True, impostors="all")
    )
    alone = evaluate_embeddings(embedding, pairs, request=EvaluationRequest(fars=(0.002,), thin_far=True))
    assert wanted.metrics["tar_listed@far=2e-3"] == alone.metrics["tar@far=2e-3"]
    assert "tar_listed@far=2e-3" in wanted.thin
    assert "tar_listed@far=1e-3" not in wanted.metrics  # 0.48 of an impostor


def test_intervals_and_thresholds_come_with_the_figures():
    embedding, pairs = crowd(1)
    result = evaluate_embeddings(embedding, pairs, request=EvaluationRequest(fars=(0.1,)))
    low, high = result.intervals["tar@far=1e-1"]
    assert low <= result.metrics["tar@far=1e-1"] <= high and low < high
    (point,) = result.calibration
    assert point["far"] == 0.1 and point["chosen_on"] + point["held_out"] == 480
    assert 0 < point["far_reached"] < 0.3


def test_figures_alone_are_the_same_figures():
    embedding, pairs = crowd(2)
    faces, request = make_faces(embedding, None), EvaluationRequest(fars=(0.1, 0.01), impostors="all")
    whole = plan_measurement(pairs, request).measure(faces)
    alone = plan_measurement(pairs, request).measure(faces, metrics_only=True)
    assert alone.metrics == whole.metrics and whole.calibration and whole.intervals
    assert not alone.calibration and not alone.intervals and not alone.refused


def test_likelihood_listens_to_the_variance():
    # K = 2 groups in the plane. Person a's second image has its second group wrong, and says so.
    embedding = np.concatenate([plane(0, 0, 90, 90), plane(0, 180, 90, 90)], axis=1) / np.sqrt(2)
    sure, unsure = np.full((4, 2), 0.1), np.full((4, 2), 0.1)
    unsure[1, 1] = 10
    pairs = protocol(["a", "a", "b", "b"])
    by_cosine = evaluate_embeddings(embedding, pairs, request=EvaluationRequest(fars=(1.0,), thin_far=True))
    scores = {}
    for name, variance in (("sure", sure), ("unsure", unsure)):
        result = evaluate_embeddings(
            embedding, pairs, variance, EvaluationRequest(score="likelihood", fars=(1.0,), thin_far=True)
        )
        scores[name] = result.arrays["scores"][0]
    # |f - f'|^2 = 0 and 4. Sure: -1/2 (4 / 0.2 + 2 x 2 log 0.2) = -6.78. Unsure, 0.2 and 10.1:
    # -1/2 (4 / 10.1 + 2 log 0.2 + 2 log 10.1) = -0.90.
    np.testing.assert_allclose(scores["sure"], -0.5 * (20 + 4 * np.log(0.2)), rtol=1e-5)
    np.testing.assert_allclose(
        scores["unsure"], -0.5 * (4 / 10.1 + 2 * np.log(0.2) + 2 * np.log(10.1)), rtol=1e-5
    )
    np.testing.assert_allclose(by_cosine.arrays["scores"][0], 0, atol=1e-6)


def test_leaving_out_unsure_images_lowers_the_error():
    # Every fourth image is noise and says so: confidence 1 against 10. 250 people, 4800 impostor pairs and
    # more.
    embedding, pairs = crowd(3, people=250)
    noise = np.arange(1000) % 4 == 3
    embedding[noise] = np.random.default_rng(0).normal(size=(250, 16))
    result = evaluate_embeddings(embedding, pairs, np.where(noise, 1.0, 0.1)[:, None])
    reject = result.reject
    assert reject["far"] == 0.01 and reject["rejected"][5] == 0.25
    # Half of the genuine pairs have a noisy image and are nearly all missed, of the others about 47 %: 73 %
    # in all, and 47 % once the noisy quarter is gone.
    assert reject["by_confidence"][5] < 0.7 * reject["by_confidence"][0]
    assert reject["at_random"][5] > 0.9 * reject["at_random"][0]
    assert reject["random_low"][5] < reject["at_random"][5] < reject["random_high"][5]
    assert reject["by_confidence"][5] < reject["random_low"][5]  # no order by chance does that
    assert not evaluate_embeddings(embedding, pairs).reject  # without confidences there is no order
    # The same order by the norm gives the same curve; faces that are all alike in confidence have that one
    # only.
    faces = make_faces(embedding, None, norm=np.where(noise, 1.0, 2.0))
    by_norm = plan_measurement(pairs, EvaluationRequest(replicates=0)).measure(faces).reject
    assert by_norm["by_norm"] == reject["by_confidence"] and "by_confidence" not in by_norm
    rounded = 1 + 1e-7 * np.random.default_rng(1).random((1000, 1))
    assert (
        not plan_measurement(pairs, EvaluationRequest(replicates=0))
        .measure(make_faces(embedding, rounded))
        .reject
    )


def test_images_without_an_embedding_count_as_misses():
    embedding, pairs = crowd(2)
    found = np.ones(120, bool)
    found[0] = False
    whole = evaluate_embeddings(embedding, pairs, request=EvaluationRequest(fars=(0.1,)))
    result = evaluate_embeddings(embedding, pairs, request=EvaluationRequest(fars=(0.1,)), found=found)
    assert result.counts["images_not_found"] == 1
    # Three of 180 genuine pairs are lost, whatever the others score.
    assert result.metrics["tar@far=1e-1"] <= whole.metrics["tar@far=1e-1"] - 2 / 180
    assert np.isfinite(result.arrays["scores"]).all()
    assert (
        len(result.arrays["scores"]) == len(pairs.same) - (pairs.first == 0).sum() - (pairs.second == 0).sum()
    )


def test_a_list_without_identities_has_no_ranks():
    pairs = protocol(["a", "a", "b", "b"])
    nameless = Pairs(
        "x", pairs.images, pairs.first, pairs.second, pairs.same, pairs.fold, None, pairs.counted
    )
    result = evaluate_embeddings(plane(0, 1, 90, 91), nameless)
    assert "rank1" not in result.metrics and result.counts["people"] == 2
    with pytest.raises(UrfrError, match="needs to know who is on each image"):
        evaluate_embeddings(plane(0, 1, 90, 91), nameless, request=EvaluationRequest(impostors="all"))


def test_bad_embeddings_are_sentences():
    pairs = protocol(["a", "a", "b", "b"])
    with pytest.raises(UrfrError, match="embeddings of 4 images, but got 3"):
        evaluate_embeddings(plane(0, 1, 2), pairs)
    with pytest.raises(UrfrError, match="NaN or infinity for image 2"):
        evaluate_embeddings(plane(0, 1, np.nan, 2), pairs)
    with pytest.raises(UrfrError, match="variances for the likelihood score"):
        evaluate_embeddings(plane(0, 1, 2, 3), pairs, request=EvaluationRequest(score="likelihood"))
    with pytest.raises(UrfrError, match="cosine, likelihood or weighted, but got l2"):
        evaluate_embeddings(plane(0, 1, 2, 3), pairs, request=EvaluationRequest(score="l2"))


def test_names_of_rates():
    assert [rate_name("tar@far", far) for far in (0.1, 1e-3, 2.5e-4, 1e-6)] == [
        "tar@far=1e-1",
        "tar@far=1e-3",
        "tar@far=2.5e-4",
        "tar@far=1e-6",
    ]
