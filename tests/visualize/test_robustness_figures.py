"""Robustness and reject curves: what is drawn is what was measured."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.curve_figures import draw_strength
from urfr_tf.visualize.robustness_figures import draw_reject_curve, draw_robustness


def test_a_panel_for_each_variation_and_a_line_for_each_figure():
    metrics = {"accuracy": 0.9, "rank1": 0.6, "accuracy_stderr": 0.01, "accuracy_stderr@blur=3": 0.01}
    # In no order; rank1 was not to be had at the strongest blur, and fewer pixels are the stronger
    # resolution.
    metrics |= {"accuracy@blur=5": 0.7, "accuracy@blur=3": 0.8, "rank1@blur=3": 0.5, "rank1@blur=5": np.nan}
    metrics |= {"accuracy@resolution=16": 0.4, "accuracy@resolution=64": 0.85}
    figure = draw_robustness(metrics)
    blur, resolution = figure.axes
    assert [label.get_text() for label in blur.get_xticklabels()] == ["clean", "3", "5"]
    assert [line.get_label() for line in blur.lines] == ["accuracy", "rank1"]
    np.testing.assert_array_equal(blur.lines[0].get_ydata(), [0.9, 0.8, 0.7])
    np.testing.assert_array_equal(blur.lines[1].get_ydata(), [0.6, 0.5, np.nan])
    assert [label.get_text() for label in resolution.get_xticklabels()] == ["clean", "64", "16"]
    np.testing.assert_array_equal(resolution.lines[0].get_ydata(), [0.9, 0.85, 0.4])
    np.testing.assert_array_equal(resolution.lines[1].get_ydata(), [0.6, np.nan, np.nan])
    assert resolution.get_xlabel() == "pixels that a side is shrunk to" and blur.get_ylim()[0] == 0
    with pytest.raises(UrfrError, match="figures of degraded probes"):
        draw_robustness({"accuracy": 0.9})


@pytest.mark.parametrize(
    "variation, strengths", [("jpeg", [10, 5]), ("thumbnail", [24, 16]), ("noise", [20, 40])]
)
def test_strength_grows_to_the_right_in_both_pictures(variation, strengths):
    weak, strong = strengths
    metrics = {"accuracy": 0.9, f"accuracy@{variation}={strong}": 0.4, f"accuracy@{variation}={weak}": 0.8}
    axes = draw_robustness(metrics).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["clean", str(weak), str(strong)]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.9, 0.8, 0.4])
    points = (np.array(strengths, float), np.array([0.8, 0.4]))
    axes = draw_strength({"ours": points}, variation, "accuracy", {}).axes[0]
    left, right = (axes.transData.transform((strength, 0))[0] for strength in strengths)
    assert left < right


def test_reject_lines():
    figure = draw_reject_curve([0, 0.5], {"by confidence": [0.2, 0.1], "at random": [0.2, None]}, 0.01)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.2, 0.1])
    assert not axes.collections
    band = {"random_low": [0.2, 0.05], "random_high": [0.2, 0.3]}
    (banded,) = draw_reject_curve([0, 0.5], {"by_norm": [0.2, 0.1], **band}, 0.01).axes
    assert [line.get_label() for line in banded.lines] == ["by norm"] and len(banded.collections) == 1
    assert banded.collections[0].get_datalim(banded.transData).bounds == pytest.approx((0, 0.05, 0.5, 0.25))
    assert "FAR 0.01" in axes.get_title(loc="left")
    with pytest.raises(UrfrError, match="at 2 shares"):
        draw_reject_curve([0, 0.5], {"by confidence": [0.2]}, 0.01)
