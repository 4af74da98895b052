"""Evaluation protocols: files -> images, pairs and templates."""
