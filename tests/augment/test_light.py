"""Light against float64 NumPy, and what the pipeline makes of it."""

import numpy as np
import tensorflow as tf
from streams import training_stream

from urfr_tf import keys
from urfr_tf.augment.light import GAIN, OFFSET, draw_light, relight

SEED = tf.constant([3, 4], tf.int64)


def test_light_is_linear_and_cut_off():
    images = np.random.default_rng(0).integers(0, 256, [64, 5, 6, 3]).astype(np.float32)
    out = relight(images, SEED, 0.5).numpy()
    gain, offset, coin = (np.asarray(drawn, np.float64) for drawn in draw_light(64, SEED))
    exact = np.clip(images * gain[:, None, None, None] + offset[:, None, None, None], 0, 255)
    lit = coin < 0.5
    assert 20 < lit.sum() < 44  # 64 coins of 1/2: 32 +- 3 x 4
    np.testing.assert_allclose(out[lit], exact[lit], atol=0.501)
    np.testing.assert_array_equal(out[lit], np.rint(out[lit]))
    np.testing.assert_array_equal(out[~lit], images[~lit])


def test_draws_are_in_their_ranges_and_evenly_spread():
    gain, offset, coin = (drawn.numpy() for drawn in draw_light(4000, SEED))
    assert GAIN[0] <= gain.min() < 0.31 and 1.29 < gain.max() <= GAIN[1]
    assert OFFSET[0] <= offset.min() < -19 and 19 < offset.max() <= OFFSET[1]
    # On a logarithmic scale half of the gains lie below sqrt(.3 x 1.3) = .6245: 2,000 +- 5 x 31.6.
    assert abs((gain < np.sqrt(GAIN[0] * GAIN[1])).sum() - 2000) < 158
    assert abs(np.corrcoef(gain, coin)[0, 1]) < 0.08


def test_the_pipeline_relights_and_labels_nothing(shards):
    def first(light):
        stream = training_stream(
            shards,
            batch_size=8,
            crop_size=40,
            seed=1,
            probabilities={"blur": 0.5},
            light=light,
            keep_original=True,
        )
        (inputs, targets), *_ = stream.take(1).as_numpy_iterator()
        return inputs, targets[keys.VARIATION]

    plain, labels = first(0.0)
    lit, same_labels = first(1.0)
    np.testing.assert_array_equal(labels, same_labels)
    np.testing.assert_array_equal(plain[keys.ORIGINAL], lit[keys.ORIGINAL])
    changed = np.abs(lit[keys.IMAGE] - plain[keys.IMAGE]).mean(axis=(1, 2, 3))
    assert (changed > 0).all() and changed.max() > 10
