"""Metrics of degraded probes: `accuracy@blur=7` in metrics.json is accuracy under blur of strength 7."""

import math
import re
from collections.abc import Mapping

STDERR = "_stderr"
UNITS = {
    "blur": "kernel size in pixels",
    "occlusion": "side of the black square in sevenths of the crop",
    "pose": "yaw in degrees",
    "resolution": "pixels that a side is shrunk to",
    "gamma": "exponent of a pixel's value",
    "jpeg": "quality",
    "noise": "standard deviation in gray levels",
    "thumbnail": "pixels that a side is shrunk to",
}
FALLING = ("resolution", "thumbnail", "jpeg")
"""Variations whose strength grows as the number falls. Every picture shows strength growing to the right."""
DEGRADED = re.compile(rf"(.+)@({'|'.join(UNITS)})=(\d+(?:\.\d+)?)")


def group_by_strength(metrics: Mapping[str, float]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """variation -> metric -> its (strength, value), weakest first; empty where no probe was degraded.

    Standard errors and values that are not finite are left out. Of those in `FALLING` less is stronger.
    """
    by_variation: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, value in metrics.items():
        match = DEGRADED.fullmatch(name)
        if match and not match[1].endswith(STDERR) and math.isfinite(value):
            by_variation.setdefault(match[2], {}).setdefault(match[1], []).append((float(match[3]), value))
    for variation, curves in by_variation.items():
        for points in curves.values():
            points.sort(reverse=variation in FALLING)
    return by_variation
