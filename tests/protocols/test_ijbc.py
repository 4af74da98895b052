"""A miniature IJB-C in both layouts, every figure worked out by hand in the plane.

Gallery G1: A at 0 degrees, B at 90. G2: C at 180, D at 270. Probes:
A: two frames of one video at 10 and 30, and a still at 50. The video's mean points to 20 with length cos 10,
   so the template points to atan2(cos 10 sin 20 + sin 50, cos 10 cos 20 + cos 50) = 35.12: it would be 30
   without the media. B: 60. C: 230, nearer to D. D: its one image failed to align.
"""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.pooling import pool_templates
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.scoring import make_faces
from urfr_tf.protocols.protocol import Identification, Images, Split, Templates, Verification
from urfr_tf.protocols.table import open_protocol

IMAGES = {"a": 0, "b": 90, "c": 180, "d": 270, "f1": 10, "f2": 30, "s": 50, "pb": 60, "pc": 230, "pd": None}
TEMPLATES = {
    1: ("A", [("a", 1)]),
    2: ("B", [("b", 2)]),
    3: ("C", [("c", 3)]),
    4: ("D", [("d", 4)]),
    11: ("A", [("f1", 5), ("f2", 5), ("s", 6)]),
    12: ("B", [("pb", 7)]),
    13: ("C", [("pc", 8)]),
    14: ("D", [("pd", 9)]),
}
PAIRS = [(1, 11, 1), (2, 12, 1), (3, 13, 1), (4, 14, 1), (1, 12, 0), (2, 11, 0), (3, 14, 0), (4, 13, 0)]
LISTS = {"gallery_G1": (1, 2), "gallery_G2": (3, 4), "probe_mixed": (11, 12, 13, 14)}


def cropped(root, lists=True):
    meta = root / "meta"
    meta.mkdir()
    (root / "loose_crop").mkdir()
    rows = [f"{image}.jpg {t} {m}" for t, (_, images) in TEMPLATES.items() for image, m in images]
    (meta / "ijbc_face_tid_mid.txt").write_text("\n".join(rows) + "\n")
    points = " ".join(str(x) for x in (38, 52, 74, 52, 56, 72, 42, 92, 71, 92))
    (meta / "ijbc_name_5pts_score.txt").write_text("".join(f"{n}.jpg {points} 0.99\n" for n in IMAGES))
    (meta / "ijbc_template_pair_label.txt").write_text("".join(f"{a} {b} {y}\n" for a, b, y in PAIRS))
    for name, templates in LISTS.items() if lists else ():
        lines = ["TEMPLATE_ID,SUBJECT_ID,FILENAME"]
        lines += [f"{t},{TEMPLATES[t][0]},img/{i}.jpg" for t in templates for i, _ in TEMPLATES[t][1]]
        (meta / f"ijbc_1N_{name}.csv").write_text("\n".join(lines) + "\n")
    return str(root)


def published(root):
    (root / "protocol").mkdir()
    heading = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"
    for name, templates in LISTS.items():
        lines = [heading]
        for t in templates:
            subject, images = TEMPLATES[t]
            lines += [f"{t},{subject},img/{image}.jpg,{medium},5,6,20,24" for image, medium in images]
        (root / "protocol" / f"ijbc_1N_{name}.csv").write_text("\n".join(lines) + "\n")
    (root / "protocol" / "ijbc_11_G1_G2_matches.csv").write_text("".join(f"{a},{b}\n" for a, b, _ in PAIRS))
    return str(root)


@pytest.fixture(params=[cropped, published])
def protocol(request, tmp_path):
    return open_protocol("ijbc", request.param(tmp_path))


def degrees(protocol):
    names = {item.key: item.key.rpartition("/")[2].removesuffix(".jpg") for item in protocol.images.stream()}
    return {key: IMAGES[name] for key, name in names.items()}


def test_figures_by_hand(protocol, placed):
    faces = placed(protocol, degrees(protocol))
    request = EvaluationRequest(fars=(0.5, 0.25), thin_far=True, replicates=0)
    result = plan_measurement(protocol, request).measure(faces)
    # Genuine: cos 35.12 = .818, cos 30 = .866, cos 50 = .643, -inf. Impostors: (1, 12) cos 60 = .5, (2, 11)
    # cos 54.88 = .575, (3, 14) -inf, (4, 13) cos 40 = .766. FAR 1/2: the 2nd largest, .575: 3 of 4. FAR 1/4:
    # .766: 2 of 4.
    assert result.metrics["tar@far=5e-1"] == 0.75 and result.metrics["tar@far=2.5e-1"] == 0.5
    assert result.counts["genuine"] == 4 and result.counts["impostors"] == 4
    assert result.counts["templates"] == 8 and result.counts["templates_not_found"] == 1
    # Against G1 and G2 together: A rank 1, B rank 1, C rank 2 behind D, D not found: last of 4.
    assert result.metrics["rank1"] == 0.5
    np.testing.assert_allclose(result.arrays["cmc"], [0.5, 0.75, 0.75, 1])
    # G1: strangers C (best cos 230 = -.643) and D (-inf). 10 % of two is none: threshold just above -.643;
    # A and B pass: 1. G2: strangers A (best -.575) and B (-.5); C is over it but behind D, D is not: 0.
    assert result.metrics["tpir@fpir=0.1"] == 0.5 and "tpir@fpir=0.1" in result.thin
    # Scores without an embedding are left out of the pictures: 8 pairs less two.
    assert len(result.arrays["scores"]) == 6


def test_media_are_averaged_first(protocol, placed):
    templates = pool_templates(protocol, placed(protocol, degrees(protocol)), EvaluationRequest("cosine"))
    number = next(t for t in range(8) if protocol.subject[t] == "A" and (protocol.template == t).sum() == 3)
    x, y = templates.embedding[number, 0]
    np.testing.assert_allclose(np.degrees(np.arctan2(y, x)), 35.12, atol=0.01)


def test_probabilistic_aggregation_by_hand(protocol, placed):
    # The still is half as sure: frames fuse to 20 degrees and variance .1; then weights 10 and 5:
    # atan2(10 sin 20 + 5 sin 50, 10 cos 20 + 5 cos 50) = 29.90 degrees, variance .1.
    still = {key: 0.2 for key in degrees(protocol) if key.endswith("s.jpg")}
    faces = placed(protocol, degrees(protocol), still)
    templates = pool_templates(protocol, faces, EvaluationRequest("likelihood"))
    number = next(t for t in range(8) if (protocol.template == t).sum() == 3)
    x, y = templates.embedding[number, 0]
    np.testing.assert_allclose(np.degrees(np.arctan2(y, x)), 29.90, atol=0.01)
    np.testing.assert_allclose(templates.variance[number], 0.1, rtol=1e-6)
    result = plan_measurement(
        protocol, EvaluationRequest("likelihood", (0.5,), thin_far=True, replicates=0)
    ).measure(faces)
    # With A's gallery: |f - f'|^2 = 2 - 2 cos 29.90 = .2662: -1/2 (.2662 / .2 + 2 log .2) = .9440.
    np.testing.assert_allclose(result.arrays["scores"][0], 0.9440, atol=2e-4)


def test_weighted_means_are_sharper_and_compared_by_cosine(protocol, placed):
    # As above with squared confidences: weights 100 and 25 in place of 10 and 5:
    # atan2(100 sin 20 + 25 sin 50, 100 cos 20 + 25 cos 50) = 25.87 degrees from A's gallery, cosine .8998.
    still = {key: 0.2 for key in degrees(protocol) if key.endswith("s.jpg")}
    faces = placed(protocol, degrees(protocol), still)
    request = EvaluationRequest("weighted", (0.5,), thin_far=True, replicates=0, sharpness=2.0)
    result = plan_measurement(protocol, request).measure(faces)
    np.testing.assert_allclose(result.arrays["scores"][0], 0.8998, atol=1e-4)
    # Nothing is weighed at sharpness 0: one medium each, the frames at 20 and the still at 50 degrees, so 35.
    plain = pool_templates(protocol, faces, EvaluationRequest("weighted", sharpness=0.0))
    number = next(t for t in range(8) if (protocol.template == t).sum() == 3)
    np.testing.assert_allclose(np.degrees(np.arctan2(*plain.embedding[number, 0, ::-1])), 35.0, atol=0.01)


def test_weights_by_the_norm(protocol, placed):
    # Norms 10 and 5 with equal confidences: what confidences of 10 and 5 give above.
    faces = placed(protocol, degrees(protocol), {})
    still = np.array([item.key.endswith("s.jpg") for item in protocol.images.stream()])
    faces = faces._replace(norm=np.where(still, 5.0, 10.0).astype(np.float32))
    request = EvaluationRequest("weighted", (0.5,), thin_far=True, replicates=0, sharpness=2.0, weight="norm")
    result = plan_measurement(protocol, request).measure(faces)
    np.testing.assert_allclose(result.arrays["scores"][0], 0.8998, atol=1e-4)
    # A lost face needs no norm; a found one does.
    lost = faces._replace(found=~still, norm=np.where(still, np.nan, 10.0))
    assert np.isfinite(
        pool_templates(protocol, lost, EvaluationRequest("weighted", weight="norm")).embedding
    ).all()
    for norm in (np.nan, 0.0):
        bad = faces._replace(norm=np.where(still, norm, 10.0))
        with pytest.raises(
            UrfrError, match=f"norm of every embedding, but image [0-9]+ has {norm:g} .*only a run"
        ):
            pool_templates(protocol, bad, EvaluationRequest("weighted", weight="norm"))
    with pytest.raises(UrfrError, match="the weight confidence or norm, but got length"):
        EvaluationRequest("weighted", weight="length")


def test_a_probe_list_in_any_order_gives_the_same(tmp_path, placed):
    data = cropped(tmp_path)
    before = open_protocol("ijbc", data)
    path = tmp_path / "meta" / "ijbc_face_tid_mid.txt"
    path.write_text("".join(sorted(path.read_text().splitlines(keepends=True), reverse=True)))
    after = open_protocol("ijbc", data)
    request = EvaluationRequest(fars=(0.5,), thin_far=True, replicates=0)
    one, two = (plan_measurement(p, request).measure(placed(p, degrees(p))).metrics for p in (before, after))
    assert one == two


def test_points_travel_with_the_crops(tmp_path):
    items = [*open_protocol("ijbc", cropped(tmp_path)).images.stream()]
    assert items[0].points == (38, 52, 74, 52, 56, 72, 42, 92, 71, 92)
    assert items[0].file.endswith("loose_crop/a.jpg")


def test_subjects_are_guessed_where_no_list_gives_them(tmp_path, placed):
    protocol = open_protocol("ijbc", cropped(tmp_path, lists=False))
    assert not protocol.splits[0].identifications
    # Genuine pairs connect 1-11, 2-12, 3-13, 4-14: four people.
    assert len(set(protocol.subject)) == 4
    result = plan_measurement(protocol, EvaluationRequest(fars=(0.5,), thin_far=True)).measure(
        placed(protocol, degrees(protocol))
    )
    assert result.metrics == {"tar@far=5e-1": 0.75}
    assert result.intervals["tar@far=5e-1"][0] <= 0.75 <= result.intervals["tar@far=5e-1"][1]


def test_boxes_are_cut_out_of_photographs(tmp_path):
    import cv2

    from urfr_tf.data.images import decode_image

    data = published(tmp_path)
    (tmp_path / "img").mkdir()
    photograph = np.zeros((40, 60, 3), np.uint8)
    photograph[6:30, 5:25] = 200
    cv2.imwrite(str(tmp_path / "img" / "a.jpg"), photograph)
    items = [*open_protocol("ijbc", data).images.stream()]
    # Box x 5..25, y 6..30; side 1.5 x 24 = 36 about (15, 18): x -3..33 -> 0..33, y 0..36.
    assert decode_image(items[0].content).shape == (36, 33, 3)
    assert items[1].problem is not None  # b.jpg is not there: refused, not a crash


@pytest.mark.parametrize(
    "file, old, new, sentence",
    [
        ("ijbc_1N_gallery_G1.csv", "TEMPLATE_ID,", "", "TEMPLATE_ID is missing"),
        ("ijbc_1N_gallery_G1.csv", "1,A,img/a.jpg", "1,A", "expected 3 cells in line 2"),
        (
            "ijbc_template_pair_label.txt",
            "1 11 1",
            "1 99 1",
            "names template 99, but no list gives images of it",
        ),
        ("ijbc_template_pair_label.txt", "1 11 1", "1 11 x", "'template template 0 or 1'"),
        ("ijbc_template_pair_label.txt", "1 11 1", "1 11", "expected 3 words in line 1"),
        ("ijbc_face_tid_mid.txt", "a.jpg 1 1", "a.jpg 77 1", "template 77, but no 1N list gives its subject"),
        ("ijbc_face_tid_mid.txt", "a.jpg 1 1", "../a.jpg 1 1", "names '../a.jpg'"),
    ],
)
def test_a_bad_list_is_a_sentence(tmp_path, file, old, new, sentence):
    data = cropped(tmp_path)
    path = tmp_path / "meta" / file
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UrfrError, match=sentence):
        open_protocol("ijbc", data)


def test_two_subjects_in_a_template_are_a_sentence(tmp_path):
    data = published(tmp_path)
    path = tmp_path / "protocol" / "ijbc_1N_probe_mixed.csv"
    path.write_text(path.read_text().replace("11,A,img/s.jpg", "11,B,img/s.jpg"))
    with pytest.raises(UrfrError, match="template 11 of ijbc is subject A in one line and B in another"):
        open_protocol("ijbc", data)


def test_missing_lists_and_thin_fars_are_sentences(tmp_path):
    with pytest.raises(UrfrError, match="expected meta/ijbb_face_tid_mid.txt or protocol"):
        open_protocol("ijbb", str(tmp_path))
    protocol = open_protocol("ijbc", cropped(tmp_path))
    with pytest.raises(UrfrError, match=r"a FAR of 0\.1 needs .* but there are 4;"):
        plan_measurement(protocol, EvaluationRequest(fars=(0.1,)))
    with pytest.raises(UrfrError, match="for pairs of images"):
        plan_measurement(protocol, EvaluationRequest(impostors="all"))
    (tmp_path / "meta" / "ijbc_template_pair_label.txt").unlink()
    with pytest.raises(UrfrError, match="could not read"):
        open_protocol("ijbc", str(tmp_path))


def test_templates_have_thresholds_and_reject_curves():
    """300 people with a template in the gallery and one probe; each fourth probe is noise, and says so."""
    random = np.random.default_rng(0)
    noise = np.arange(300) % 4 == 3
    centers = random.normal(size=(300, 16))
    probes = np.where(
        noise[:, None], random.normal(size=(300, 16)), centers + random.normal(0, 0.3, (300, 16))
    )
    variance = np.concatenate([np.full(300, 0.1), np.where(noise, 1.0, 0.1)])[:, None]
    faces = make_faces(np.concatenate([centers, probes]), variance)
    mates, rows = np.arange(300), np.arange(600)
    first, second = np.concatenate([np.stack([mates, mates + 300]), random.integers(0, 600, (2, 20000))], 1)
    subject = np.concatenate([mates, mates]).astype(str)
    pairs = Verification(first, second, subject[first] == subject[second])
    search = Identification("", mates + 300, (mates,))
    protocol = Templates(
        "x", Images(600, lambda: iter(())), rows, rows, rows, subject, (Split(pairs, (search,)),)
    )
    result = plan_measurement(protocol, EvaluationRequest(fars=(0.01,), replicates=0)).measure(faces)
    (point,) = result.calibration
    # Half of the people, so a quarter of the pairs: some 5000 impostors choose, some 5000 are held out.
    assert point["far"] == 0.01 and 4500 < point["chosen_on"] < 5500 and 4500 < point["held_out"] < 5500
    assert 0.005 < point["far_reached"] < 0.02
    assert set(result.reject) == {"pairs", "rank 1"}
    # Of the probes a quarter is noise: missed by nearly all thresholds, nearly never first of 300.
    pairs_curve, ranks = result.reject["pairs"], result.reject["rank 1"]
    assert pairs_curve["far"] == 0.01 and pairs_curve["by_confidence"][0] > 0.2
    assert ranks["far"] is None and 0.2 < ranks["by_confidence"][0] < 0.3
    # A quarter of the probes is an eighth of the templates: at 0.15 of them no noise is left.
    assert pairs_curve["by_confidence"][3] < 0.05 and ranks["by_confidence"][5] < 0.05
    assert ranks["at_random"][5] > 0.2


def test_a_gallery_of_one_person_is_a_sentence_before_anything_is_embedded(tmp_path):
    data = cropped(tmp_path)
    path = tmp_path / "meta" / "ijbc_1N_gallery_G1.csv"
    path.write_text(path.read_text().replace("2,B,", "2,A,"))
    with pytest.raises(UrfrError, match="at least two people in ijbc, but one of its galleries has 1"):
        plan_measurement(open_protocol("ijbc", data), EvaluationRequest())
