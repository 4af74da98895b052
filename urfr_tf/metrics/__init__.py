"""Pair scores, ROC, CMC and template fusion: arrays in, numbers out, no files."""
