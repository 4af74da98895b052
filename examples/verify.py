"""Do two photographs show the same person?

    python examples/verify.py A.jpg B.jpg

It finds the faces, aligns them, embeds them, and compares every face of the one with every face of the other.
"""

import argparse

import urfr_tf
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.compare import compare_photographs


def main() -> None:
    """Prints the similarity, and the answer if the model has a threshold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("a", help="a photograph")
    parser.add_argument("b", help="another photograph")
    parser.add_argument("--model", default="default", help="a run, SavedModel or .tflite file")
    args = parser.parse_args()

    model = urfr_tf.load(args.model)
    settings = CropSettings(size=model.aligned_size, align=model.alignment)
    result = compare_photographs(model, args.a, args.b, settings, faces="all")
    print(f"cosine {result['cosine']:.3f}")
    threshold = result["threshold"]
    if threshold is None:
        print("no threshold is calibrated for this model: run urfr evaluate --far")
    else:
        answer = "the same person" if result["same"] else "different people"
        print(f"{answer} (threshold {threshold['threshold']:.3f} for a FAR of {threshold['far']:g})")


if __name__ == "__main__":
    main()
