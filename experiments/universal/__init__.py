"""The default network made universal, measured: `python -m experiments.universal`."""
