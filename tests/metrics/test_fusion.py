"""Template fusion against a float64 loop; the incremental template against fusion at once."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.metrics import Template, average, fuse, fusion


def images(rng, count, groups=4, width=6):
    x = rng.standard_normal((count, groups, width))
    x = (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)
    return x, rng.uniform(0.01, 1, (count, groups)).astype(np.float32)


def oracle(x, v, rule):
    """One template in float64, image by image."""
    total, precision, least = np.zeros(x.shape[1:]), np.zeros(x.shape[1]), np.full(x.shape[1], np.inf)
    for image in range(len(x)):
        for group in range(x.shape[1]):
            total[group] += x[image, group].astype(np.float64) / np.float64(v[image, group])
            precision[group] += 1 / np.float64(v[image, group])
            least[group] = min(least[group], np.float64(v[image, group]))
    mean = total / precision[:, None]
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True), least if rule == "minimum" else 1 / precision


def test_by_hand():
    # Weights 1 and 3: (1, 0) + 3 (0, 1) = (1, 3), of norm sqrt 10. Minimum 1/3, product 1 / (1 + 3).
    x, v = [[[1.0, 0.0]], [[0.0, 1.0]]], [[1.0], [1 / 3]]
    fused, variance = fuse(x, v, [7, 7])
    np.testing.assert_allclose(fused, [[[1 / np.sqrt(10), 3 / np.sqrt(10)]]], rtol=1e-6)
    np.testing.assert_allclose(variance, [[1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(fuse(x, v, [7, 7], "product")[1], [[0.25]], rtol=1e-6)


def test_sharpness_by_hand():
    # Squared weights 1 and 9: (1, 9), of norm sqrt 82; nothing weighs at 0. The variance is as it was.
    x, v = np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), np.array([[1.0], [1 / 3]])
    for sharpness, expected in ((2.0, (1 / np.sqrt(82), 9 / np.sqrt(82))), (0.0, (0.5**0.5, 0.5**0.5))):
        fused, variance = fuse(x, v, [7, 7], sharpness=sharpness)
        np.testing.assert_allclose(fused, [[expected]], rtol=1e-6)
        np.testing.assert_allclose(variance, [[1 / 3]], rtol=1e-6)
        grown = Template(1, 2, sharpness=sharpness).add(x[0], v[0]).add(x[1], v[1]).result()
        np.testing.assert_allclose(grown[0], [expected], rtol=1e-6)
        np.testing.assert_allclose(grown[1], [1 / 3], rtol=1e-6)


@pytest.mark.parametrize("rule", fusion.FUSIONS)
@pytest.mark.parametrize("block", [1, 50, 1 << 24], ids=["a template", "some", "all"])
def test_against_float64_in_any_block_and_order(rule, block, monkeypatch):
    monkeypatch.setattr(fusion, "_BLOCK", block)
    rng = np.random.default_rng(0)
    x, v = images(rng, 40)
    template = rng.choice([3, 5, 11, -2], 40)
    fused, variance = fuse(x, v, template, rule)
    for place, number in enumerate([-2, 3, 5, 11]):  # rising order
        expected = oracle(x[template == number], v[template == number], rule)
        np.testing.assert_allclose(fused[place], expected[0], atol=1e-6)
        np.testing.assert_allclose(variance[place], expected[1], rtol=1e-6)
    order = rng.permutation(40)
    again = fuse(x[order], v[order], template[order], rule)
    np.testing.assert_array_max_ulp(again[0], fused, maxulp=2)
    np.testing.assert_array_max_ulp(again[1], variance, maxulp=2)


@pytest.mark.parametrize("rule", fusion.FUSIONS)
def test_growing_template_equals_fusion_in_every_order(rule):
    rng = np.random.default_rng(1)
    x, v = images(rng, 30)
    at_once = [array[0] for array in fuse(x, v, np.zeros(30, int), rule)]
    for _ in range(5):
        order = rng.permutation(30)
        growing = Template(4, 6, rule)
        for image in order[:20]:
            growing.add(x[image], v[image])
        growing.add(x[order[20:]], v[order[20:]])
        assert growing.images == 30
        for got, expected in zip(growing.result(), at_once, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


def test_one_image_is_its_own_template():
    rng = np.random.default_rng(2)
    x, v = images(rng, 3)
    fused, variance = fuse(x, v, [2, 0, 1])
    np.testing.assert_allclose(fused, x[[1, 2, 0]], atol=1e-6)
    np.testing.assert_allclose(variance, v[[1, 2, 0]], rtol=1e-6)
    # Groups of norm 1/sqrt(K), as serving_default gives them, come out with norm 1.
    np.testing.assert_allclose(fuse(x / 2, v, [2, 0, 1])[0], fused, atol=1e-6)


def test_average_by_hand_in_blocks(monkeypatch):
    monkeypatch.setattr(fusion, "_BLOCK", 4)
    # Groups 1 and 4: ((0, 0) + (2, 4)) / 2 and (1, 1) alone; nothing is renormalized.
    means = average([[0.0, 0.0], [1.0, 1.0], [2.0, 4.0]], [1, 4, 1])
    np.testing.assert_allclose(means, [[1, 2], [1, 1]])
    with pytest.raises(UrfrError, match="group for each of 3 rows"):
        average(np.ones((3, 2)), [0, 1])


def test_bad_input_is_a_sentence():
    x, v = images(np.random.default_rng(3), 2)
    with pytest.raises(UrfrError, match="at least one image, but none was added"):
        Template(4, 6).result()
    with pytest.raises(UrfrError, match=r"embeddings of \[4, 5\] for this template"):
        Template(4, 5).add(x[0], v[0])
    with pytest.raises(UrfrError, match="minimum or product, but got mean"):
        fuse(x, v, [0, 0], "mean")
    with pytest.raises(UrfrError, match="sharpness from 0 to 32, but got -1"):
        fuse(x, v, [0, 0], sharpness=-1.0)
    with pytest.raises(UrfrError, match="sharpness from 0 to 32, but got nan"):
        Template(4, 6, sharpness=float("nan"))
    with pytest.raises(UrfrError, match="integer template for each of 2 images"):
        fuse(x, v, [0])
    with pytest.raises(UrfrError, match="integer template for each of 2 images"):
        fuse(x, v, [0.5, 1.0])
    with pytest.raises(UrfrError, match="variances above 0, but image 1"):
        fuse(x, np.stack([v[0], -v[1]]), [0, 0])
    with pytest.raises(UrfrError, match="cancel out"):
        fuse(np.stack([x[0], -x[0]]), np.stack([v[0], v[0]]), [0, 0])
