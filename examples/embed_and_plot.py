"""Embed a folder of photographs and plot the embeddings, one color per person.

    python examples/embed_and_plot.py faces/ --out faces.png

`faces/` has one folder per person. The embeddings are kept beside the picture, in `faces.npz`.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

import urfr_tf
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.folder import embed_photographs

mpl.use("agg")  # no screen is needed


def main() -> None:
    """Writes the .npz file and the picture."""
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", help="a folder with one folder per person")
    parser.add_argument("--out", type=Path, default=Path("faces.png"), help="the picture to write")
    parser.add_argument("--model", default="default", help="a run, SavedModel or .tflite file")
    args = parser.parse_args()

    model = urfr_tf.load(args.model)
    settings = CropSettings(size=model.aligned_size, align=model.alignment)
    npz = args.out.with_suffix(".npz")
    summary = embed_photographs(model, args.faces, npz, settings)
    print(f"{summary.found} of {summary.images} photographs embedded")

    with np.load(npz) as arrays:
        found = arrays["found"]
        embedding, paths = arrays["embedding"][found], arrays["path"][found]
    # The two directions in which the embeddings differ most (principal components).
    centered = embedding - embedding.mean(axis=0)
    plane = centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
    people = np.array([Path(path).parent.name for path in paths])
    figure, axes = pyplot.subplots(figsize=(7, 7))
    for person in np.unique(people):
        axes.scatter(*plane[people == person].T, s=20, label=person)
    if len(np.unique(people)) <= 20:
        axes.legend()
    axes.set(xlabel="first component", ylabel="second component", title=model.path)
    figure.savefig(args.out, dpi=150, bbox_inches="tight")
    print(args.out)


if __name__ == "__main__":
    main()
