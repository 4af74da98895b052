"""The compiled kernel; everything else about the package is in pyproject.toml."""

from setuptools import Extension, setup

# Faster all-pairs scores. A plain library without Python in it; without a C compiler urfr_tf does without it.
TILE = Extension(
    "urfr_tf.metrics.likelihood_tile",
    ["urfr_tf/metrics/likelihood_tile.c"],
    depends=["urfr_tf/metrics/likelihood_tile.h"],
    extra_compile_args=["-O2"],
    optional=True,
)

setup(ext_modules=[TILE])
