"""Scripts that measure; `benchmarks.reproduce` is run with `python -m` from the repository's root."""
