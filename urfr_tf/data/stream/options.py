"""How tf.data runs a stream."""

import tensorflow as tf


def stream_options() -> tf.data.Options:
    """The options of every stream: the order is fixed, and several workers share each batch."""
    options = tf.data.Options()
    options.deterministic = True
    # With several workers each takes its places of every batch. Sharding by files would change the stream.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
