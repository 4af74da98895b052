"""The made-up crowd of the tests of protocols, and a model that is known to the last digit."""

from crowds import crowd, pixel_model, placed

__all__ = ["crowd", "pixel_model", "placed"]
