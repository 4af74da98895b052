"""Photographs on disk -> aligned crops -> embeddings: what `urfr embed` and `urfr compare` do."""
