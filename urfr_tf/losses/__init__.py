"""Identification, regulariser, variation losses, mutual likelihood."""
