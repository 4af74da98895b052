"""Variations: pure functions (images, seed) -> images, and one module that chooses and labels."""
