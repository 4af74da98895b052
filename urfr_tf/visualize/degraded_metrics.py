"""Figures of degraded probes, as metrics.json names them: `accuracy@blur=7` is accuracy under blur of strength 7."""

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
    "noise": "standard deviation in grey levels",
    "thumbnail": "pixels that a side is shrunk to",
}
FALLING = ("resolution", "thumbnail", "jpeg")
"""Fewer pixels and a lower quality are the stronger variation; strength grows to the right in every picture."""
DEGRADED = re.compile(rf"(.+)@({'|'.join(UNITS)})=(\d+(?:\.\d+)?)")


def group_by_strength(metrics: Mapping[str, float]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """variation -> metric -> its (strength, value), weakest first; empty where no probe was degraded.

    Standard errors and values that are not finite are left out. Of those in `FALLING` less is stronger.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, value in metrics.items():
        match = DEGRADED.fullmatch(name)
        if match and not match[1].endswith(STDERR) and math.isfinite(value):
            found.setdefault(match[2], {}).setdefault(match[1], []).append((float(match[3]), value))
    for variation, curves in found.items():
        for points in curves.values():
            points.sort(reverse=variation in FALLING)
    return found
