"""Scripts that measure; `experiments.reproduce` is run with `python -m` from the repository's root."""
