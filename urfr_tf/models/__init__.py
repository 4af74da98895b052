"""Backbones, the URFace model, and the inference graph."""
