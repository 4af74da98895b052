"""Published evaluation sets: a module for each layout reads it, table.py lists them, protocol.py says what they become.

How they are measured is in `urfr_tf.evaluation`.
"""
