"""Faster kernels for Keras's layers, with the same weights and values; `fused_forward` chooses them."""
