"""Fuse the frames of a video into one embedding, and compare it with a photograph.

    python examples/fuse_video.py VIDEO.mp4 PHOTOGRAPH.jpg

The largest face of each frame counts. A model with confidences gives a sharp frame more weight than a blurred
one. The default network has none, so its frames weigh the same.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

import urfr_tf
from urfr_tf.data.images import decode_image
from urfr_tf.faces.align import align_face
from urfr_tf.faces.detect import Detector, choose_face
from urfr_tf.metrics import Template, cosine_score


def main() -> None:
    """Prints how many frames had a face, and the similarity."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("photograph")
    parser.add_argument("--model", default="default", help="a run, SavedModel or .tflite file")
    parser.add_argument("--every", type=int, default=5, help="take every N-th frame (5)")
    args = parser.parse_args()

    model = urfr_tf.load(args.model)
    detector = Detector()

    def embed(image: np.ndarray, template: Template) -> None:
        """Adds the largest face of uint8 [H, W, 3], RGB, if there is one."""
        face = choose_face(detector.detect([image])[0], image.shape, "largest")
        if face is not None:
            output = model(align_face(image, face.points, model.aligned_size)[np.newaxis])
            groups = output["embedding"].reshape(1, model.groups, -1)
            template.add(groups, output["variance"])

    frames, still = (Template(model.groups, model.dim // model.groups, sharpness=6.0) for _ in range(2))
    capture = cv2.VideoCapture(args.video)
    number = 0
    while capture.grab():
        if number % args.every == 0:
            embed(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB), frames)
        number += 1
    embed(decode_image(Path(args.photograph).read_bytes()), still)
    print(f"{number} frames, {frames.images} with a face among every {args.every}th")
    similarity = cosine_score(frames.result()[0][np.newaxis], still.result()[0][np.newaxis])
    print(f"cosine {similarity[0]:.3f}")


if __name__ == "__main__":
    main()
