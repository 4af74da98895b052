"""A miniature IJB-S, worked out by hand: three protocols, two galleries, a probe without a crop.

People 1 ... 4. Gallery 1 holds 1 and 2, gallery 2 holds 3 and 4. Video 10 shows 1 (frames at 10 and 30) and 3
(200), video 11 shows 2 (85) and 4, of whom no face was cut out. Stills: 1 at 0, 2 at 90, 3 at 180, 4 at 270.
"""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.protocols.table import open_protocol

CROPS = {
    "1/videos_10_000001.jpg": 10,
    "1/videos_10_000002.jpg": 30,
    "3/videos_10_000001.jpg": 200,
    "2/videos_11_000007.jpg": 85,
    "1/img_1.jpg": 0,
    "2/img_2.jpg": 90,
    "3/img_3.jpg": 180,
    "4/img_4.jpg": 270,
    "1/img_5.jpg": 40,  # a second booking image of 1: the template points to 20
    "1/videos_20_000001.jpg": 120,
    "2/videos_20_000001.jpg": 80,
    "3/videos_21_000001.jpg": 190,
    "4/videos_21_000001.jpg": 300,
}


@pytest.fixture
def tree(tmp_path):
    for crop in CROPS:
        (tmp_path / "images" / crop).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / crop).write_bytes(b"")
    lists = tmp_path / "protocols"
    (lists / "galleries").mkdir(parents=True)
    seen = [(1, "videos/10.mp4"), (3, "videos/10.mp4"), (2, "videos/11.mp4"), (4, "videos/11.mp4")]
    seen += [
        (1, "videos/20.mp4"),
        (2, "videos/20.mp4"),
        (3, "videos/21.mp4"),
        (4, "videos/21.mp4"),
        (1, "img/1.jpg"),
    ]
    rows = [f"{subject},{file},0,1,2" for subject, file in seen for _ in range(2)]
    (lists / "cs6_metadata.csv").write_text(
        "\n".join(["SUBJECT_ID,FILENAME,FRAME,FACE_X,FACE_Y", *rows]) + "\n"
    )
    for name in ("single-booking", "surveillance"):
        (lists / f"cs6_surveillance_to_{name}_probe.csv").write_text(
            "FILENAME\nvideos/10.mp4\nvideos/11.mp4\n"
        )
    galleries = {
        "single_g1": [(1, "img/1.jpg"), (2, "img/2.jpg")],
        "single_g2": [(3, "img/3.jpg"), (4, "img/4.jpg")],
        "booking_g1": [(1, "img/1.jpg"), (1, "img/5.jpg"), (2, "img/2.jpg")],
        "booking_g2": [(3, "img/3.jpg"), (4, "img/4.jpg")],
        "surveillance_g1": [(1, "videos/20.mp4"), (2, "videos/20.mp4")],
        "surveillance_g2": [(3, "videos/21.mp4"), (4, "videos/21.mp4")],
    }
    for name, entries in galleries.items():
        lines = [f"{n},{subject},{file}" for n, (subject, file) in enumerate(entries)]
        text = "\n".join(["TEMPLATE_ID,SUBJECT_ID,FILENAME", *lines]) + "\n"
        (lists / "galleries" / f"cs6_surveillance_to_{name}.csv").write_text(text)
    return tmp_path


def test_figures_by_hand(tree, placed):
    protocol = open_protocol("ijbs", str(tree))
    assert protocol.facts["templates_without_images"] == 1  # 4 in video 11
    result = plan_measurement(protocol, EvaluationRequest(thin_far=True)).measure(placed(protocol, CROPS))
    # Probes 1 at 20, 3 at 200, 2 at 85, 4 not found. Single: 1 (0), 3 (180), 2 (90) are first, 4 is last.
    assert result.metrics["s2s/rank1"] == 0.75
    # Booking: 1 at 20 exactly; nothing else changes.
    assert result.metrics["s2b/rank1"] == 0.75
    # Video: the gallery's 1 is at 120 and 2 at 80. Probe 1 at 20: 2 is 60 away, 1 is 100, 4 (300) is 80: rank
    # 3. Probe 2 at 85: 5 away: first. Probe 3 at 200: 190: first. 4: last.
    assert result.metrics["s2v/rank1"] == 0.5
    np.testing.assert_allclose(result.arrays["s2v/cmc"], [0.5, 0.5, 0.75, 1])
    # Single, open set. G1: strangers 3 (200: best cos 110 = -.342) and 4 (-inf): just above; 1 and 2 pass: 1.
    # G2: strangers 1 (20: best cos 110 = -.342) and 2 (85: best cos 95 = -.087); 3 passes, 4 does not: 1/2.
    assert result.metrics["s2s/tpir@fpir=0.1"] == 0.75
    assert result.counts["s2s/probes"] == 4 and result.counts["s2b/gallery"] == 4
    assert result.counts["templates_not_found"] == 1


def test_too_few_strangers_are_refused_by_name(tree, placed):
    protocol = open_protocol("ijbs", str(tree))
    result = plan_measurement(protocol, EvaluationRequest()).measure(placed(protocol, CROPS))
    assert "100 probes without a mate, but there are 2;" in result.refused["s2s/tpir@fpir=0.1"]


@pytest.mark.parametrize(
    "file, text, sentence",
    [
        (
            "cs6_surveillance_to_single-booking_probe.csv",
            "FILENAME\nvideos/99.mp4\n",
            "names videos/99.mp4, but",
        ),
        ("galleries/cs6_surveillance_to_single_g1.csv", "TEMPLATE_ID,SUBJECT_ID,FILENAME\n", "it is empty"),
        ("galleries/cs6_surveillance_to_single_g1.csv", "A,B\n1,2\n", "expected 'template,subject,file'"),
        ("cs6_metadata.csv", "FILENAME\nvideos/10.mp4\n", "SUBJECT_ID is missing"),
    ],
)
def test_a_bad_list_is_a_sentence(tree, file, text, sentence):
    (tree / "protocols" / file).write_text(text)
    with pytest.raises(UrfrError, match=sentence):
        open_protocol("ijbs", str(tree))


def test_missing_files_are_a_sentence(tmp_path):
    with pytest.raises(UrfrError, match="one is missing"):
        open_protocol("ijbs", str(tmp_path))
