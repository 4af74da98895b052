"""What the page about confidences rests on: correlations, the weighted TAR, and what a regression can
know."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.finetune.quality import at_random, inputs, regression
from experiments.finetune.why import (
    PAGE,
    alike,
    crops_of,
    main,
    rank_correlation,
    tar,
    told_apart,
    without_mean,
)
from urfr_tf import keys
from urfr_tf.protocols.pairs import open_pairs
from urfr_tf.runs.load_model import load_model


def test_rank_correlation_is_spearmans_averaged():
    one = np.array([[1.0, 2.0, 3.0, 40.0], [1.0, 2.0, 3.0, 4.0]])
    other = np.array([[0.1, 0.3, 0.2, 0.4], [4.0, 3.0, 2.0, 1.0]])
    # 1 - 6 sum d^2 / (n (n^2 - 1)): d^2 = 0 1 1 0 -> 1 - 12 / 60; reversed -> -1
    assert rank_correlation(one, other) == pytest.approx((0.8 - 1) / 2)


def test_groups_are_alike_by_what_they_share():
    random = np.random.default_rng(0)
    shared, single = random.normal(0, 1, [200_000, 1]), random.normal(0, 1, [200_000, 4])
    # variance 1 shared, variance 3 of their own: 1 / (1 + 3); standard error of a correlation below 1 /
    # sqrt(200,000)
    assert alike(shared + np.sqrt(3) * single) == pytest.approx(0.25, abs=0.01)


def test_apart_leaves_neither_the_level_of_an_image_nor_of_a_group():
    image, group, rest = (
        np.array([[1.0], [5.0]]),
        np.array([[0.0, 2.0]]),
        np.array([[1.0, -1.0], [-1.0, 1.0]]),
    )
    np.testing.assert_allclose(without_mean(image + group + rest), rest, atol=1e-12)


def test_a_shift_is_told_apart_and_nothing_is_not():
    random, learning = np.random.default_rng(2), np.arange(4000) % 2 == 0
    one, other = random.normal(0, 1, [4000, 5]), random.normal(0, 1, [4000, 5])
    # no difference: .5, standard error .5 / sqrt(4000) = .008
    assert told_apart(one, other, learning) == pytest.approx(0.5, abs=0.03)
    # two deviations between the means: the best classifier is right where a normal number is above -1, .841
    assert told_apart(one + [2, 0, 0, 0, 0], other, learning) == pytest.approx(0.841, abs=0.025)
    assert told_apart(one + [9, 0, 0, 0, 0], other, learning) > 0.999


def test_weights_decide_the_rate():
    """Two people of two images; in the probes the second group is another person's, the first the image's
    own."""
    first = np.array([[1.0, 0], [1.0, 0], [0, 1.0], [0, 1.0]])
    second = np.array([[1.0, 0], [1.0, 0], [0, 1.0], [0, 1.0]])
    gallery = np.stack([first, second], axis=1)
    probes = np.stack([first, second[::-1]], axis=1)
    pairs = SimpleNamespace(first=np.array([0, 2]), second=np.array([1, 3]), same=np.array([True, True]))
    people = np.array([0, 0, 1, 1])
    # By the bad group: genuine 0 below impostors 1. By the good one: genuine 1 above impostors 0.
    assert tar(gallery, probes, np.tile([0.0, 1.0], [4, 1]), pairs, people) == 0.0
    assert tar(gallery, probes, np.tile([1.0, 0.0], [4, 1]), pairs, people) == 1.0
    # the length of the weights is nothing that changes between probes
    by_image = np.array([[1.0, 0], [5.0, 0], [1.0, 0], [0.2, 0]])
    assert tar(gallery, probes, by_image, pairs, people) == 1.0


def test_the_regression_finds_what_is_linear_in_the_direction():
    random = np.random.default_rng(1)
    features = random.normal(0, 1, [4000, 8])
    kernel = random.normal(0, 1, [9, 3])
    quality = 1 - np.exp(-(inputs(features) @ kernel) - 5)
    predict = regression(features[:3000], quality[:3000])
    predicted, expected = predict(features[3000:]), -np.log(1 - quality[3000:])
    # shrunk by the ridge, 1000 beside 3000 images, and so compared by correlation
    for group in range(3):
        assert np.corrcoef(predicted[:, group], expected[:, group])[0, 1] > 0.99


def test_every_crop_is_degraded_and_a_seed_gives_the_same():
    crops = np.random.default_rng(3).uniform(1, 255, [12, 64, 64, 3]).astype(np.float32)
    one, again, other = (at_random(crops, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert all(np.any(each != crop) for each, crop in zip(one, crops, strict=True)) and np.any(one != other)


def test_the_page_of_a_run(tiny_run, shards, tmp_path, monkeypatch):
    words = ["why", "--train", str(shards), "--data", str(shards), "--docs", str(tmp_path), str(tiny_run)]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 0
    lines = (tmp_path / PAGE).read_text().splitlines()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in lines
        if "|" in line
    }
    assert cells["confidence, share of clean"][0] == "1.000"
    assert all(0 <= float(cell) <= 1 for cell in cells["TAR, groups by true quality"][1:])
    # the figure of clean images, from the run as it is served
    model, pairs = load_model(tiny_run), open_pairs(str(shards))
    output = model(crops_of(str(shards), model.input_size))
    groups = output[keys.EMBEDDING].reshape(pairs.images.count, model.groups, -1) * np.sqrt(model.groups)
    expected = tar(groups, groups, np.ones(groups.shape[:2]), pairs, pairs.people())
    assert float(cells["TAR, groups equal"][0]) == pytest.approx(expected, abs=5e-4)


def test_a_run_that_is_none_is_said_in_a_sentence(shards, tmp_path, monkeypatch, capsys):
    words = [
        "why",
        "--train",
        str(shards),
        "--data",
        str(shards),
        "--docs",
        str(tmp_path),
        str(tmp_path / "none"),
    ]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 1
    error = capsys.readouterr().err
    assert error.count("why: expected") == 1 and str(tmp_path / "none") in error and not [*tmp_path.iterdir()]
