import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize import canvas
from urfr_tf.visualize.confidence_figure import (
    compute_confidence_change,
    draw_confidence_changes,
    draw_confidences,
)


def visible(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_one_panel_a_sub_embedding_and_one_line_a_variation():
    rng = np.random.default_rng(0)
    kinds = {name: rng.uniform(10, 50, (30, 6)) for name in ("clean", "blur", "pose")}
    figure = draw_confidences(kinds)
    panels = visible(figure)
    assert [axes.get_title("left") for axes in panels] == [f"sub-embedding {k}" for k in range(1, 7)]
    for axes in panels:
        assert len(axes.patches) == 3
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["clean (30)", "blur (30)", "pose (30)"]


def test_the_histogram_counts_every_image_once():
    # 4 images, one outlier far beyond the drawn range of the 99.8 % middle: it is kept in the last bin,
    # so the percentages of each line still add up to 100.
    values = np.array([[20.0], [21.0], [22.0], [5000.0]])
    axes = visible(draw_confidences({"clean": values}))[0]
    outline = axes.patches[0].get_xy()
    # A step histogram's outline holds each bin's height twice.
    heights = outline[1:-1:2, 1]
    assert heights.sum() == pytest.approx(100.0)


def test_confidences_that_were_held_still_draw():
    png = canvas.encode_png(draw_confidences({"clean": np.full((50, 2), 24.0)}))
    assert png.startswith(b"\x89PNG")


def test_change_is_the_log_of_the_ratio_of_medians():
    # Medians: clean (2, 8), blur (1, 8), pose (4, 2); ratios (1/2, 1) and (2, 1/4), log2: (-1, 0), (1, -2).
    kinds = {
        "clean": np.array([[1.0, 8.0], [2.0, 8.0], [9.0, 8.0]]),
        "blur": np.array([[1.0, 8.0]]),
        "pose": np.array([[4.0, 2.0]]),
    }
    names, change = compute_confidence_change(kinds)
    assert names == ["blur", "pose"]
    np.testing.assert_allclose(change, [[-1.0, 0.0], [1.0, -2.0]])
    texts = [text.get_text() for text in draw_confidence_changes(kinds).axes[0].texts]
    assert texts == ["0.50", "1.00", "2.00", "0.25"]


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ({}, "at least one kind"),
        ({"clean": np.ones(4)}, r"\[N, K\]"),
        ({"clean": np.ones((3, 4)), "blur": np.ones((3, 5))}, r"\[N, 4\].*'blur'"),
        ({"clean": np.zeros((3, 4))}, "positive"),
        ({"clean": np.full((3, 4), np.nan)}, "finite"),
    ],
)
def test_other_confidences_are_refused(kinds, sentence):
    with pytest.raises(UrfrError, match=sentence):
        draw_confidences(kinds)


def test_one_kind_has_nothing_to_be_compared_with():
    with pytest.raises(UrfrError, match="at least one variation"):
        compute_confidence_change({"clean": np.ones((3, 4))})
