"""P x K sampling with and without a cap: how often each person comes in a pass."""

import collections

import cv2
import numpy as np
import pytest
from streams import training_stream

from urfr_tf import keys
from urfr_tf.data.stream.settings import Sampling
from urfr_tf.data.stream.training_stream import steps_per_pass

IMAGES = (3, 5, 9, 1)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """People with 3, 5, 9 and 1 images."""
    from urfr_tf.cli import main

    folder = tmp_path_factory.mktemp("uneven")
    random = np.random.default_rng(0)
    for person, count in enumerate(IMAGES):
        (folder / "people" / f"person_{person}").mkdir(parents=True)
        for i in range(count):
            image = random.integers(0, 255, [40, 40, 3], np.uint8)
            cv2.imwrite(str(folder / "people" / f"person_{person}" / f"{i}.png"), image)
    out = folder / "shards"
    prepare = ["prepare", "--source", "folder", "--path", str(folder / "people"), "--size", "40"]
    assert main([*prepare, "--shards", "2", "--out", str(out)]) == 0
    return str(out)


def groups(shards, steps, most, cache):
    """The label of each group of two, in some steps of one group each."""
    settings = {"images_per_identity": 2, "groups_per_identity": most, "cache": cache}
    stream = training_stream(shards, batch_size=2, crop_size=40, seed=1, **settings)
    batches = [inputs[keys.LABEL].numpy() for inputs, _ in stream.take(steps)]
    assert all(a == b for a, b in batches)
    return [int(a) for a, _ in batches]


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, {0: 1, 1: 2, 2: 4}),  # floor(n / 2) groups of two; nobody has two of the person with one image
        (1, {0: 1, 1: 1, 2: 1}),
        (2, {0: 1, 1: 2, 2: 2}),
    ],
)
def test_groups_of_each_person_in_a_pass(uneven, most, expected, cache):
    steps = sum(expected.values())
    assert steps_per_pass(uneven, Sampling(2, images_per_identity=2, groups_per_identity=most)) == steps
    labels = groups(uneven, 3 * steps, most, cache)
    for number in range(3):
        assert collections.Counter(labels[number * steps : (number + 1) * steps]) == expected


def test_other_images_come_in_the_next_pass(uneven):
    """The person with nine images brings two of them; over 20 passes most of the nine have come."""
    settings = {"images_per_identity": 2, "groups_per_identity": 1}
    stream = training_stream(uneven, batch_size=2, crop_size=40, seed=1, flip=False, **settings)
    seen = set()
    for inputs, _ in stream.take(60):
        if int(inputs[keys.LABEL][0]) == 2:
            seen |= {image.numpy().tobytes() for image in inputs[keys.IMAGE]}
    assert len(seen) >= 7
