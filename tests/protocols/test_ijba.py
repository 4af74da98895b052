"""A miniature IJB-A of two splits, worked out by hand: figures are means with their standard error."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.protocols.table import open_protocol

HEADING = "TEMPLATE_ID,SUBJECT_ID,FILE,MEDIA_ID,SIGHTING_ID,FRAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"
ANGLES = {"img/1.jpg": 0, "frame/2_1.png": 20, "frame/2_2.png": 40, "img/3.jpg": 90, "img/4.jpg": 70}


def table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{t},{s},{file},{medium},0,,5,5,20,20" for t, s, file, medium in rows]
    path.write_text("\n".join([HEADING, *lines]) + "\n")


@pytest.fixture
def tree(tmp_path):
    # Split 1: template 1 is A at 0; 2 is A, a video of 20 and 40: at 30; 3 is B at 90; 4 is B at 70.
    one = [(1, 7, "img/1.jpg", 1), (2, 7, "frame/2_1.png", 2), (2, 7, "frame/2_2.png", 2)]
    two = [(3, 8, "img/3.jpg", 3), (4, 8, "img/4.jpg", 4)]
    verify = tmp_path / "IJB-A_11_sets"
    table(verify / "split1" / "verify_metadata_1.csv", one + two)
    (verify / "split1" / "verify_comparisons_1.csv").write_text("1,2\n3,4\n1,3\n2,4\n")
    # Split 2 uses the same ids for other people's images: A at 90, A at 0, B at 70.
    table(
        verify / "split2" / "verify_metadata_2.csv",
        [(1, 7, "img/3.jpg", 1), (2, 7, "img/1.jpg", 2), (3, 8, "img/4.jpg", 3)],
    )
    (verify / "split2" / "verify_comparisons_2.csv").write_text("1,2\n1,3\n")
    find = tmp_path / "IJB-A_1N_sets"
    table(find / "split1" / "search_gallery_1.csv", [(1, 7, "img/1.jpg", 1), (2, 8, "img/3.jpg", 2)])
    table(
        find / "split1" / "search_probe_1.csv",
        [(1, 8, "img/4.jpg", 1), (9, 7, "frame/2_2.png", 2), (5, 6, "frame/2_1.png", 3)],
    )
    table(find / "split2" / "search_gallery_2.csv", [(1, 7, "img/1.jpg", 1), (2, 8, "img/3.jpg", 2)])
    table(find / "split2" / "search_probe_2.csv", [(1, 8, "frame/2_1.png", 1)])
    return tmp_path


def test_figures_by_hand(tree, placed):
    protocol = open_protocol("ijba", str(tree))
    assert protocol.images.count == 5 and len(protocol.splits) == 2
    result = plan_measurement(protocol, EvaluationRequest(fars=(1.0,), thin_far=True)).measure(
        placed(protocol, ANGLES)
    )
    # Split 1: genuine cos 30, cos 20; impostors cos 90 = 0 and cos 40 = .766. FAR 1: threshold 0: 2 of 2.
    # Split 2: genuine cos 90 = 0; impostor cos 20 = .940: 0 of 1. Mean 1/2, s = sqrt(1/2), s / sqrt 2 = 1/2.
    assert result.metrics["tar@far=1e0"] == 0.5
    np.testing.assert_allclose(result.metrics["tar@far=1e0_stderr"], 0.5)
    # Split 1: B at 70 is nearer to 90, A at 40 to 0: 2 of 2; the stranger does not count. Split 2: B at 20: 0
    # of 1.
    assert result.metrics["rank1"] == 0.5
    # FPIR needs strangers: split 2 has none, so it is not given for half of the splits.
    assert "tpir@fpir=0.1" not in result.metrics
    assert result.counts["genuine"] == 3 and result.counts["impostors"] == 3
    assert not result.intervals


def test_one_of_the_two_sets_is_enough(tree, placed):
    import shutil

    shutil.rmtree(tree / "IJB-A_11_sets")
    protocol = open_protocol("ijba", str(tree))
    assert [split.verification for split in protocol.splits] == [None, None]
    result = plan_measurement(protocol, EvaluationRequest()).measure(placed(protocol, ANGLES))
    assert "rank1" in result.metrics and not [name for name in result.metrics if name.startswith("tar")]
    shutil.rmtree(tree / "IJB-A_1N_sets")
    with pytest.raises(UrfrError, match="neither is there"):
        open_protocol("ijba", str(tree))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("1,2\n3,44\n", "names template 11/1/44"),
        ("1:2\n", "'template,template' in line 1"),
        ("", "it is empty"),
    ],
)
def test_bad_comparisons_are_sentences(tree, text, sentence):
    (tree / "IJB-A_11_sets" / "split1" / "verify_comparisons_1.csv").write_text(text)
    with pytest.raises(UrfrError, match=sentence):
        open_protocol("ijba", str(tree))
