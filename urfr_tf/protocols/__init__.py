"""Published evaluation sets: a module for each layout; table.py lists them, protocol.py has what they become.

How they are measured is in `urfr_tf.evaluation`.
"""
