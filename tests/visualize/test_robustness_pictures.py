"""Robustness and reject curves: what is drawn is what was measured."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.robustness import reject_figure, robustness_figure


def test_a_panel_for_each_variation_and_a_line_for_each_figure():
    curves = {
        "blur": {"strength": [None, 3, 5], "accuracy": [0.9, 0.8, 0.7], "rank1": [0.6, 0.5, None]},
        "pose": {"strength": [None, 15], "accuracy": [0.9, 0.85], "rank1": [0.6, 0.55]},
    }
    figure = robustness_figure(curves, ["accuracy", "rank1"])
    blur, pose = figure.axes
    assert [label.get_text() for label in blur.get_xticklabels()] == ["clean", "3", "5"]
    np.testing.assert_array_equal(blur.lines[0].get_ydata(), [0.9, 0.8, 0.7])
    np.testing.assert_array_equal(blur.lines[1].get_ydata(), [0.6, 0.5, np.nan])
    assert pose.get_xlabel() == "yaw in degrees" and blur.get_ylim()[0] == 0
    with pytest.raises(UrfrError, match="expected 3 values of accuracy for blur, but got 2"):
        robustness_figure({"blur": {"strength": [None, 3, 5], "accuracy": [0.9, 0.8]}}, ["accuracy"])
    with pytest.raises(UrfrError, match="a variation and a figure"):
        robustness_figure({}, ["accuracy"])


def test_reject_lines():
    figure = reject_figure([0, 0.5], {"by confidence": [0.2, 0.1], "at random": [0.2, None]}, 0.01)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.2, 0.1])
    assert "FAR 0.01" in axes.get_title(loc="left")
    with pytest.raises(UrfrError, match="at 2 shares"):
        reject_figure([0, 0.5], {"by confidence": [0.2]}, 0.01)
