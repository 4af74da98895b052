"""Keras's layers with the same weights and values, made faster for training on CPUs."""
