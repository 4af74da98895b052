"""The configuration of an experiment: its tree of dataclasses, and the checks that a tree must pass."""
