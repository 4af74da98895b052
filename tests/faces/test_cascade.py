"""The steps of the detection cascade: pyramid, suppression, patches, strips."""

import numpy as np
import pytest

from urfr_tf.faces import cascade


def test_pyramid_goes_from_the_smallest_face_to_the_whole_image():
    # 12 / 60 = 0.2; 250 * 0.2 = 50, then times 0.5: 25, 12.5, and 6.25 is below 12.
    assert cascade.pyramid(250, 300, 60, 0.5) == pytest.approx([0.2, 0.1, 0.05])
    # An image smaller than the smallest face: one level, its shorter side at 12.
    assert cascade.pyramid(40, 30, 60, 0.5) == pytest.approx([12 / 30])
    # Exactly as large: 12 / 24 of 24 is 12, one level.
    assert cascade.pyramid(24, 24, 24, 0.7) == pytest.approx([0.5])


def overlap(a, b, nested):
    """Intersection over union, or over the smaller, of two boxes in plain float64."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return shared / (min(areas) if nested else sum(areas) - shared)


def greedy(boxes, scores, threshold, nested=False):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(overlap(boxes[i], boxes[j], nested) <= threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(4))
def test_suppression_equals_the_greedy_oracle(seed):
    random = np.random.default_rng(seed)
    corner = random.uniform(-20, 60, (120, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 50, (120, 2))], 1)
    scores = (random.permutation(120) + 1) / 121.0
    assert cascade.suppress(boxes, scores, 0.4).tolist() == greedy(boxes, scores, 0.4)
    assert cascade.suppress_nested(boxes, scores, 0.7).tolist() == greedy(boxes, scores, 0.7, nested=True)


def test_suppression_by_hand():
    # The second lies inside the first: union 100 and shared 25, so 0.25 of the union, all of the smaller.
    boxes = np.array([[0, 0, 10, 10], [0, 0, 5, 5], [20, 0, 30, 10]], float)
    scores = np.array([0.8, 0.9, 0.7])
    assert cascade.suppress(boxes, scores, 0.3).tolist() == [1, 0, 2]
    assert cascade.suppress(boxes, scores, 0.2).tolist() == [1, 2]
    assert cascade.suppress_nested(boxes, scores, 0.7).tolist() == [1, 2]
    for function in (cascade.suppress, cascade.suppress_nested):
        assert function(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_suppression_considers_only_the_best():
    boxes = np.arange(40.0).repeat(4).reshape(40, 4) * 100 + [0, 0, 10, 10]
    kept = cascade.suppress(boxes, np.linspace(0.5, 0.9, 40), 0.5, limit=7)
    assert kept.tolist() == list(range(39, 32, -1))


def test_square_keeps_the_centre_and_the_longer_side():
    np.testing.assert_allclose(cascade.square(np.array([[0, 10, 4, 20.0]])), [[-3, 10, 7, 20]])


def test_patches_average_where_they_shrink_and_are_black_outside():
    image = np.arange(96 * 96 * 3, dtype=np.uint32).reshape(96, 96, 3) % 251
    image = image.astype(np.uint8)
    boxes = np.array([[0, 0, 96, 96], [0.4, -0.4, 24.3, 24.2], [72, 48, 120, 96], [200, 200, 210, 210.0]])
    patches, seen = cascade.cut_patches(image, boxes, 24)
    assert seen.tolist() == [[0, 0, 96, 96], [0, 0, 24, 24], [72, 48, 120, 96], [200, 200, 210, 210]]
    blocks = image.reshape(24, 4, 24, 4, 3).mean((1, 3))
    assert np.abs(patches[0] - blocks).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(patches[1], image[:24, :24])
    # 48 x 48 from (72, 48): the image ends after 24 columns, 12 of the patch.
    assert (
        np.abs(patches[2, :, :12] - image[48:, 72:].reshape(24, 2, 12, 2, 3).mean((1, 3))).max() <= 0.5 + 1e-9
    )
    assert patches[2, :, 12:].max() == 0
    assert patches[3].max() == 0


def test_a_patch_of_no_width_is_one_pixel():
    image = np.full((5, 5, 3), 9, np.uint8)
    patches, seen = cascade.cut_patches(image, np.array([[2.0, 2, 2, 2]]), 24)
    assert seen.tolist() == [[2, 2, 3, 3]]
    assert (patches == 9).all()


@pytest.mark.parametrize("height", [12, 13, 61, 64, 75, 100])
def test_strips_of_a_tall_image_give_what_the_whole_gives(height, monkeypatch):
    propose = cascade.load_networks()[0]
    image = np.random.default_rng(1).integers(0, 256, (2, height, 40, 3), dtype=np.uint8)
    whole = cascade.proposals_of_level(propose, image, [(height, 40)] * 2, 0.0)
    # Every cell is above 0: two pixels go to the first convolution, pooling halves and rounds up, four of
    # what is left go to two more convolutions.
    assert len(whole[0]) == 2 * (-(-(height - 2) // 2) - 4) * (19 - 4)
    # 40 columns wide, so 32 rows at once: (32 - 12) // 2 + 1 = 11 rows of cells a strip.
    monkeypatch.setattr(cascade, "_PIXELS", 40 * 32)
    strips = cascade.proposals_of_level(propose, image, [(height, 40)] * 2, 0.0)
    order = [np.lexsort((p[0][:, 0], p[0][:, 1], p[2])) for p in (whole, strips)]
    for a, b in zip(whole, strips, strict=True):
        np.testing.assert_allclose(a[order[0]], b[order[1]], atol=1e-4)


def test_cells_beyond_the_real_part_are_left_out():
    propose = cascade.load_networks()[0]
    images = np.zeros((2, 32, 48, 3), np.uint8)
    boxes, scores, owner = cascade.proposals_of_level(propose, images, [(32, 48), (20, 13)], 0.0)
    # 32 rows: (32 - 2) / 2 - 4 = 11 cells; 48 columns: 19. 20 + 1 rows hold cells at 0, 2, ... 8, of
    # 12 pixels each: 5; 13 + 1 columns those at 0 and 2.
    assert [int((owner == i).sum()) for i in range(2)] == [11 * 19, 5 * 2]
    assert len(boxes) == len(scores)


def test_proposals_of_an_image_do_not_depend_on_its_company():
    propose = cascade.load_networks()[0]
    random = np.random.default_rng(2)
    images = [random.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((90, 70), (64, 64), (300, 41))]
    settings = (24, 0.7, 0.3)
    together = cascade.propose(propose, images, *settings)
    for image, boxes in zip(images, together, strict=True):
        np.testing.assert_allclose(cascade.propose(propose, [image], *settings)[0], boxes, atol=1e-3)
