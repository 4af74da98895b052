"""The picture of decisions: a face and a text at each place, green where the decision is right."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.decisions_figure import RIGHT, WRONG, Comparisons, draw_decisions

FACE = np.full([4, 4, 3], 9, np.uint8)
OTHERS = np.stack([FACE + 1, FACE + 2])
SCORES = np.array([[0.5, 0.126], [-0.25, 3.0]])
ACCEPTED = np.array([[True, False], [False, True]])


@pytest.mark.parametrize("one_person", [True, False])
def test_scores_decisions_and_colors(one_person):
    figure = draw_decisions(
        [Comparisons(FACE, OTHERS, one_person, SCORES, ACCEPTED)], ["clean", "blur"], ["before", "after"]
    )
    first, clean, blur = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["compared with", "clean", "blur"]
    assert first.get_ylabel() == ("one person" if one_person else "two people")
    assert [text.get_text() for text in first.texts] == ["before", "after"]
    assert [text.get_text() for text in clean.texts] == ["0.50 yes", "-0.25 no"]
    assert [text.get_text() for text in blur.texts] == ["0.13 no", "3.00 yes"]
    yes, no = (RIGHT, WRONG) if one_person else (WRONG, RIGHT)
    assert [text.get_color() for axes in (clean, blur) for text in axes.texts] == [yes, no, no, yes]
    shown = [axes.images[0].get_array()[0, 0, 0] for axes in figure.axes]
    assert shown == [9, 10, 11]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "pairs of faces to draw, but there are none"),
        ([Comparisons(FACE, OTHERS, True, SCORES[:1], ACCEPTED)], r"decisions \[2, 2\]"),
    ],
)
def test_what_does_not_fit_is_refused(rows, sentence):
    with pytest.raises(UrfrError, match=sentence):
        draw_decisions(rows, ["clean", "blur"], ["before", "after"])
