"""Which prototypes a step compares with: all of the batch's identities and a random draw of the others."""

import math

import tensorflow as tf

# A Feistel network of so many rounds with random round functions; four are the fewest that hide the order.
_ROUNDS = 8


def permuted(count: int, size: int, seed: tf.Tensor) -> tf.Tensor:
    """The first `count` places of a random permutation of 0 .. size - 1, in O(count + sqrt(size)).

    Sorting or shuffling all identities at every step would cost O(size). A number is written as (l, r)
    with l < a and r < b, a * b just above size, and the rounds l += F(r) mod a, r += G(l) mod b follow one
    another; each is a bijection, and F, G are tables of random numbers drawn from the seed (Luby and
    Rackoff, 1988; for domains that are no power of two: Black and Rogaway, 2002). What falls between size
    and a * b is sent through again until it is below size, which is a bijection too.

    Args:
        count: how many, 0 <= count <= size.
        size: below 2^31.
        seed: int [2].

    Returns:
        int32 [count], all different.
    """
    if count == 0:
        return tf.zeros([0], tf.int32)
    a = math.isqrt(size - 1) + 1
    b = -(-size // a)
    left = tf.random.stateless_uniform([_ROUNDS // 2, b], seed, maxval=a, dtype=tf.int32)
    folded = tf.random.experimental.stateless_fold_in(seed, 1)
    right = tf.random.stateless_uniform([_ROUNDS // 2, a], folded, maxval=b, dtype=tf.int32)

    def shuffled(numbers: tf.Tensor) -> tf.Tensor:
        high, low = numbers // b, numbers % b
        for of_low, of_high in zip(tf.unstack(left), tf.unstack(right), strict=True):
            high = _wrapped(high + tf.gather(of_low, low), a)
            low = _wrapped(low + tf.gather(of_high, high), b)
        return high * b + low

    def again(numbers: tf.Tensor) -> tuple[tf.Tensor]:
        outside = tf.where(numbers >= size)
        return (tf.tensor_scatter_nd_update(numbers, outside, shuffled(tf.gather_nd(numbers, outside))),)

    numbers = shuffled(tf.range(count, dtype=tf.int32))
    if a * b == size:
        return numbers
    return tf.while_loop(lambda numbers: tf.reduce_any(numbers >= size), again, [numbers])[0]


def _wrapped(numbers: tf.Tensor, modulus: int) -> tf.Tensor:
    return tf.where(numbers >= modulus, numbers - modulus, numbers)


def places(labels: tf.Tensor, start: int, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Which labels belong to the rows start .. start + size - 1: (their places in the batch, their rows).

    Args:
        labels: int [B].

    Returns:
        int64 [n, 1] places, rising, and int64 [n] rows, counted from `start`.
    """
    # int64 whatever comes: half precision ends at 65,504 and has gaps from 2,048 on.
    local = tf.cast(tf.reshape(labels, [-1]), tf.int64) - start
    where = tf.where((local >= 0) & (local < size))
    return where, tf.gather_nd(local, where)


def sampled_rows(
    labels: tf.Tensor, start: int, size: int, others: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows of one shard for this step: those of the batch's labels, then a draw of the rest.

    Args:
        labels: int [B], of the global batch.
        start: the class of the shard's row 0.
        size: how many rows the shard has.
        others: how many rows besides those of the labels; drawn without replacement, all equally likely.
        seed: int [2].

    Returns:
        rows: int32 [P + min(others, size - P)], all different; P of them belong to labels.
        targets: int32 [B], the place of each label in `rows`; -1 where it is in another shard.
    """
    where, local = places(labels, start, size)
    positives, place = tf.unique(tf.cast(local, tf.int32))
    batch = tf.size(labels, tf.int64)
    targets = tf.tensor_scatter_nd_update(tf.fill([batch], -1), where, place)
    most = labels.shape.num_elements()
    # As many more as there can be positives among them, so that enough are left.
    count = size if most is None else min(size, others + most)
    drawn = permuted(count, size, seed)
    ordered = tf.concat([tf.sort(positives), [size]], 0)
    taken = tf.equal(tf.gather(ordered, tf.searchsorted(ordered, drawn)), drawn)
    rest = tf.boolean_mask(drawn, ~taken)[:others]
    return tf.concat([positives, rest], 0), targets
