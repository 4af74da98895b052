import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.training_figures import draw_training, group_columns


def test_columns_are_sorted_into_subjects():
    names = [
        "epoch", "step", "loss", "identification", "regularizer", "accuracy", "confidence_mean",
        "confidence_std", "margin", "learning_rate", "val_accuracy", "val_tar@far=1e-2",
        "confidence_mean_0", "confidence_mean_1", "confidence_std_0", "confidence_std_1",
        "readable_0_1", "val_confidence_mean", "seconds", "new_thing",
    ]  # fmt: skip
    assert group_columns(names) == {
        "loss": ["loss", "identification"],
        "regularizer": ["regularizer"],
        "accuracy": ["accuracy"],
        "confidence": ["confidence_mean", "confidence_std", "val_confidence_mean"],
        "margin": ["margin"],
        "learning rate": ["learning_rate"],
        "validation": ["val_accuracy", "val_tar@far=1e-2"],
        "confidence_mean of each": ["confidence_mean_0", "confidence_mean_1"],
        "readable of each": ["readable_0_1"],
        "new_thing": ["new_thing"],
    }


def test_the_confidence_is_a_line_with_a_band():
    log = {"epoch": [1, 2], "confidence_mean": np.array([24.0, 30.0]), "confidence_std": np.array([1.0, 2.0])}
    axes = draw_training({"run": log})["confidence"].axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [24, 30])
    # The band runs from mean - std to mean + std: 23..25, then 28..32.
    corners = axes.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in corners.tolist()} >= {(1, 23), (1, 25), (2, 28), (2, 32)}
    assert len(axes.lines) == 1
    assert all(tick == round(tick) for tick in axes.get_xticks()), "there is no epoch 1.25"


def test_two_runs_are_drawn_over_each_other():
    logs = {
        name: {"epoch": np.arange(3), "margin": np.arange(3) * factor}
        for name, factor in (("a", 1), ("b", 2))
    }
    axes = draw_training(logs)["margin"].axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a: margin", "b: margin"]
    assert axes.lines[0].get_color() != axes.lines[1].get_color()


def test_a_loss_that_falls_far_gets_a_logarithmic_axis():
    # 100 / 1 is more than 50 times, 10 / 1 is not.
    steep = draw_training({"run": {"step": [1, 2], "loss": [100.0, 1.0]}})["loss"].axes[0]
    flat = draw_training({"run": {"step": [1, 2], "loss": [10.0, 1.0]}})["loss"].axes[0]
    assert (steep.get_yscale(), flat.get_yscale()) == ("log", "linear")
    assert steep.get_xlabel() == "step"


def test_a_column_with_gaps_and_a_run_without_it():
    logs = {
        "a": {"epoch": [1, 2], "val_accuracy": [np.nan, 0.9]},
        "b": {"epoch": [1, 2], "margin": [1.0, 2.0]},
    }
    figures = draw_training(logs)
    assert set(figures) == {"validation", "margin"}
    assert len(figures["validation"].axes[0].lines) == 1


def test_logs_that_cannot_be_drawn_are_refused():
    with pytest.raises(UrfrError, match="at least one run"):
        draw_training({})
    with pytest.raises(UrfrError, match="one length"):
        draw_training({"run": {"epoch": [1, 2], "loss": [1.0]}})
