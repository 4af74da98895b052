"""Sub-embeddings, confidence, prototypes, variation classifier."""
