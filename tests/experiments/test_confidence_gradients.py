"""What the identification loss asks of the confidences: against differences of the loss itself, and a run for
real."""

import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from experiments.reproduce.confidence_gradients import compute_gradients, main, prototypes_of
from urfr_tf.errors import UrfrError
from urfr_tf.losses.identification import identification


def unit(*shape):
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def test_the_gradient_is_the_derivative_of_the_loss_by_log_s():
    groups, prototypes = unit(6, 4, 8), unit(5, 4, 8)
    confidence = np.random.default_rng(2).uniform(5, 20, size=(6, 4))
    labels, margin, step = np.array([0, 1, 2, 3, 4, 0]), 2.0, 1e-3

    def loss(scale):
        logits = np.einsum("nk,nkd,ckd->nc", confidence * scale / 4, groups, prototypes)
        return identification(tf.constant(labels), tf.constant(logits), margin).numpy().astype(np.float64)

    slope, is_nearest = compute_gradients(groups, confidence, prototypes, labels, margin)
    # The loss is float32, about 1e-7 of a few: over 2e-3 that is 5e-4 at most.
    np.testing.assert_allclose(slope, (loss(1 + step) - loss(1 - step)) / (2 * step), atol=2e-3)
    logits = np.einsum("nk,nkd,ckd->nc", confidence / 4, groups, prototypes)
    np.testing.assert_array_equal(is_nearest, logits.argmax(axis=1) == labels)


def test_the_confidence_of_a_hard_image_rises_and_that_of_a_lost_one_falls():
    prototypes = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    angles = np.deg2rad([0, 40, 80])  # easy, hard, lost; all are person 0
    groups = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None, :]
    slope, is_nearest = compute_gradients(groups, np.full((3, 1), 10.0), prototypes, np.zeros(3, int), 0.0)
    assert is_nearest.tolist() == [True, True, False]
    assert slope[1] < slope[0] < 0 < slope[2]
    # By hand, 40 degrees: logits 7.660 and 6.428, p of the other 0.2257: -0.2257 x 1.233 = -0.278.
    assert slope[1] == pytest.approx(-0.278, abs=1e-3)


def test_a_run_gives_a_page(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["confidence_gradients", "--docs", str(tmp_path), f"tiny={tiny_run}"])
    assert main() == 0
    rows = [
        line.split(" | ")
        for line in (tmp_path / "lab/confidence_push.md").read_text().splitlines()
        if "tiny" in line
    ]
    assert [row[1] for row in rows] == ["clean", "blur", "occlusion", "pose", "resolution"]
    assert rows[0][-1] == "1.000 |" and all(0 <= float(row[2]) <= 100 for row in rows)
    norms = np.linalg.norm(prototypes_of(tiny_run, 4, 4), axis=-1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)
    with pytest.raises(UrfrError, match="prototypes of 5 identities"):
        prototypes_of(tiny_run, 5, 4)
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checkpoints"))
    monkeypatch.setattr(sys, "argv", ["confidence_gradients", "--docs", str(tmp_path), str(run)])
    assert main() == 1
    assert "expected a checkpoint in" in capsys.readouterr().err
