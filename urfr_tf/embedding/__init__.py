"""Photographs in, embeddings out: comparing two of them, a whole folder, or a list on many machines."""
