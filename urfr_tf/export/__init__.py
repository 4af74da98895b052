"""Export: SavedModel, TFLite, parity, and what a serving deployment needs."""
