import itertools

import numpy as np
import pytest
import tensorflow as tf
from made_up import numbered_shards
from streams import training_stream

from urfr_tf import keys
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.settings import Sampling
from urfr_tf.data.stream.soft_labels import soft_label_paths, write_soft_labels
from urfr_tf.data.stream.training_stream import steps_per_pass
from urfr_tf.errors import UrfrError

IMAGES, PEOPLE, SIDE, BATCH = 103, 7, 20, 10
STEPS = 10  # 103 // 10
VARIED = {"blur": 0.3, "occlusion": 0.3, "resolution": 0.3}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """103 images in 3 shards: image i is of person i mod 7 and has the colour (i, 2 i, row) in every row."""
    folder = numbered_shards(tmp_path_factory.mktemp("shards"), IMAGES, PEOPLE, SIDE)
    write_soft_labels(load_manifest(folder), "young", np.arange(IMAGES) / 200)
    return folder


def stream(shards, **settings):
    return training_stream(
        shards, **{"batch_size": BATCH, "crop_size": 16, "seed": 3, "shuffle_buffer": 40, **settings}
    )


def first(dataset, count):
    """The first batches as bytes, for comparison bit by bit."""
    batches = itertools.islice(dataset.as_numpy_iterator(), count)
    return [
        (x[keys.IMAGE].tobytes(), x[keys.LABEL].tobytes(), y[keys.VARIATION].tobytes()) for x, y in batches
    ]


def numbers(dataset, count):
    """Which images the first batches hold, int [count, batch]: red is the number."""
    batches = itertools.islice(dataset.as_numpy_iterator(), count)
    return np.stack([x[keys.IMAGE][:, 0, 0, 0] for x, _ in batches]).astype(int)


@pytest.fixture(scope="module")
def unbroken(shards):
    """Three and a half passes with everything that is drawn."""
    return first(stream(shards, probabilities=VARIED, soft_labels=("young",)), 35)


@pytest.mark.parametrize(("step", "cache"), [(1, False), (STEPS - 1, True), (2 * STEPS, False), (27, True)])
def test_a_stream_that_starts_later_is_the_rest_of_the_unbroken_one(shards, unbroken, step, cache):
    settings = {"probabilities": VARIED, "soft_labels": ("young",)}
    tf.random.set_seed(step)  # The order must not hang on it.
    resumed = stream(shards, start_step=step, cache=cache, **settings)
    assert first(resumed, 35 - step) == unbroken[step:]


def test_the_number_of_threads_changes_nothing(shards, unbroken):
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    one_thread = stream(shards, probabilities=VARIED, soft_labels=("young",)).with_options(options)
    assert first(one_thread, 12) == unbroken[:12]


def test_iterating_twice_gives_the_same(shards):
    dataset = stream(shards)
    assert first(dataset, 3) == first(dataset, 3)


def test_the_types_and_shapes_are_known_before_the_first_batch(shards):
    inputs, targets = stream(shards, probabilities={"blur": 0.1}, soft_labels=("young",)).element_spec
    assert inputs == {
        keys.IMAGE: tf.TensorSpec([BATCH, 16, 16, 3], tf.float32),
        keys.LABEL: tf.TensorSpec([BATCH], tf.int64),
    }
    assert targets == {keys.VARIATION: tf.TensorSpec([BATCH, 2], tf.float32)}
    _, nothing = next(iter(stream(shards)))
    assert nothing[keys.VARIATION].shape == (BATCH, 0)


def test_a_pass_holds_every_image_once_but_for_the_remainder(shards):
    assert steps_per_pass(str(shards), Sampling(BATCH)) == STEPS
    passes = numbers(stream(shards, crop_size=SIDE), 3 * STEPS).reshape(3, STEPS * BATCH)
    for held in passes:
        assert len(set(held)) == STEPS * BATCH
        assert set(held) <= set(range(IMAGES))
    # Not the same three images are left out, nor is the order the same, and it is not that of the shards.
    assert len({tuple(sorted(held)) for held in passes}) > 1
    assert len({tuple(held) for held in passes}) == 3
    # Of 99 neighbours a shuffled stream keeps about 1 in order; one read in blocks keeps more than 90.
    assert ((passes[:, 1:] - passes[:, :-1]) == 1).sum(axis=1).max() < 15
    other = numbers(stream(shards, crop_size=SIDE, seed=4), STEPS).ravel()
    assert tuple(other) != tuple(passes[0])


def test_labels_soft_labels_and_images_stay_together(shards):
    dataset = stream(shards, probabilities={"occlusion": 0.0}, soft_labels=("young",))
    for x, y in itertools.islice(dataset.as_numpy_iterator(), STEPS):
        number = x[keys.IMAGE][:, 0, 0, 0]
        np.testing.assert_array_equal(x[keys.IMAGE][:, 0, 0, 1], 2 * number)
        np.testing.assert_array_equal(x[keys.LABEL], number % PEOPLE)
        np.testing.assert_array_equal(y[keys.VARIATION][:, 0], 0)
        np.testing.assert_allclose(y[keys.VARIATION][:, 1], number / 200, rtol=1e-6)


def test_crops_are_drawn_evenly(shards):
    dataset = stream(shards)
    tops = [x[keys.IMAGE][:, 0, 0, 2] for x, _ in itertools.islice(dataset.as_numpy_iterator(), 50)]
    count = np.bincount(np.concatenate(tops).astype(int))
    # 500 draws of 5 rows: mean 100, standard deviation sqrt(500 * 0.2 * 0.8) = 8.9; five of them are 45.
    assert len(count) == 5 and (np.abs(count - 100) <= 45).all()


def test_groups_of_one_person(shards):
    """P x K sampling: each person has 14 or 15 images, of which 12 make three groups of four."""
    settings = {"batch_size": 12, "crop_size": SIDE, "images_per_identity": 4}
    assert steps_per_pass(str(shards), Sampling(12, images_per_identity=4)) == 7
    held = numbers(stream(shards, **settings), 14)
    people = held.reshape(14, 3, 4) % PEOPLE
    assert (people == people[:, :, :1]).all()
    for one_pass in held.reshape(2, -1):
        assert len(set(one_pass)) == 84
    resumed = stream(shards, start_step=9, cache=True, **settings)
    np.testing.assert_array_equal(numbers(resumed, 5), held[9:])
    with pytest.raises(UrfrError, match="images_per_identity divides, but got 10 and 4"):
        steps_per_pass(str(shards), Sampling(10, images_per_identity=4))


def test_impossible_requests_are_refused_before_anything_starts(shards):
    with pytest.raises(UrfrError, match=r"crop of 1 to 20 pixels .* got 21"):
        stream(shards, crop_size=21)
    with pytest.raises(UrfrError, match=r"at least a batch of 104 images, but .* holds 103"):
        steps_per_pass(str(shards), Sampling(104))
    with pytest.raises(UrfrError, match="'glasses'"):
        stream(shards, probabilities={"glasses": 0.5})


def test_damaged_soft_labels_are_refused_by_name(shards):
    manifest = load_manifest(shards)
    with pytest.raises(UrfrError, match=r"soft labels smiling in .*smiling"):
        stream(shards, soft_labels=("smiling",))
    with pytest.raises(UrfrError, match=r"got '\.\./young'"):
        stream(shards, soft_labels=("../young",))
    values = np.full(IMAGES, 0.5)
    values[5] = np.nan
    with pytest.raises(UrfrError, match=r"male of record 5 in .* is nan"):
        write_soft_labels(manifest, "male", values)
    write_soft_labels(manifest, "male", np.full(IMAGES, 0.5))
    path = soft_label_paths(manifest, "male")[1]
    content = np.fromfile(path, "<f4")
    path.write_bytes(content[:-1].tobytes())
    with pytest.raises(UrfrError, match=f"expected {4 * len(content)} bytes in .*{path.name}"):
        stream(shards, soft_labels=("male",))
    content[2] = 1.5
    path.write_bytes(content.tobytes())
    with pytest.raises(UrfrError, match=r"male of record 2 in .* is 1.5"):
        stream(shards, soft_labels=("male",))
