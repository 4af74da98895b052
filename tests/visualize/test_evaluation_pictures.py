"""The pictures next to metrics.json: one for each curve that the file holds, under the names users know."""

import pytest

from urfr_tf.visualize.evaluation_pictures import draw_evaluation_figures, write_evaluation_pictures

CURVE = {"rejected": [0, 0.5], "far": 0.01, "by_confidence": [0.2, 0.1], "at_random": [0.2, None]}


@pytest.mark.parametrize(
    "content, names",
    [
        ({"metrics": {"accuracy": 0.9}, "reject": {}}, []),
        ({"metrics": {"accuracy": 0.9, "accuracy@blur=5": 0.7}}, ["robustness.png"]),
        ({"metrics": {}, "reject": CURVE}, ["reject.png"]),
        ({"metrics": {}, "reject": {"A to B": CURVE, "C": CURVE}}, ["reject-AtoB.png", "reject-C.png"]),
    ],
)
def test_a_file_for_each_curve(content, names, tmp_path):
    assert list(draw_evaluation_figures(content)) == names
    paths = write_evaluation_pictures(content, tmp_path)
    assert paths == [tmp_path / name for name in names]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
