"""The measuring engine: images become embeddings, scores and figures."""
