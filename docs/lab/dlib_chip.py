"""dlib's chip of 150 pixels against its area cut out of our crop of 112, on LFW, from the same points.

Usage: python docs/lab/dlib_chip.py LFW PAIRS SCRATCH

LFW has a folder for each person, PAIRS is its pairs.txt, and the five points are stored in SCRATCH.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from urfr_tf import keys
from urfr_tf.faces import align
from urfr_tf.faces.detect import Detector, choose_face
from urfr_tf.faces.template import five_points
from urfr_tf.keras2 import keras
from urfr_tf.metrics import ten_fold_accuracy
from urfr_tf.runs.default_network import find_model
from urfr_tf.runs.load_run import load_network

# Where our detector's five points lie in dlib's own chips, on average.
CHIP = np.array([(46.63, 45.08), (101.41, 44.76), (73.70, 76.58), (50.03, 104.10), (97.74, 104.02)])
FARS = (1e-2, 1e-3, 1e-4)


def read_pairs(path):
    """Two files and whether they show one person, for each pair."""
    for line in Path(path).read_text().splitlines()[1:]:
        words = line.split("\t")
        person, other = words[0], words[-2] if len(words) == 4 else words[0]
        yield _file(person, words[1]), _file(other, words[-1]), len(words) == 3


def _file(person, number):
    return f"{person}/{person}_{int(number):04d}.jpg"


def read_photograph(path):
    """Pixels uint8 [H, W, 3], RGB."""
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def find_points(root, files, stored):
    """The five points of the central face of each file that has one."""
    if not stored.is_file():
        detector, points = Detector(), {}
        for start in range(0, len(files), 32):
            photographs = {file: read_photograph(root / file) for file in files[start : start + 32]}
            faces = zip(photographs.items(), detector.detect(list(photographs.values())), strict=True)
            chosen = {file: choose_face(found, image.shape, "central") for (file, image), found in faces}
            points.update({file: face.points for file, face in chosen.items() if face is not None})
        np.savez(stored, files=list(points), points=np.stack(list(points.values())))
    with np.load(stored) as arrays:
        return dict(zip(arrays["files"].tolist(), arrays["points"], strict=True))


def embed(root, points):
    """Embeddings of norm 1 by the name of the crop."""
    network = load_network(find_model("default")).network
    head = network.get_layer(keys.EMBEDDING)
    behind_chip = keras.Model(network.get_layer("chip").output, head.input)
    embeddings = {"slice": [], "chip": []}
    files = list(points)
    for start in range(0, len(files), 64):
        crops, chips = [], []
        for file in files[start : start + 64]:
            photograph = read_photograph(root / file)
            align.five_points = five_points
            crops.append(align.align_face(photograph, points[file], 112))
            align.five_points = lambda size: CHIP
            chips.append(align.align_face(photograph, points[file], 150))
        images = {keys.IMAGE: np.stack(crops).astype(np.float32)}
        embeddings["slice"].append(network.predict_on_batch(images)[keys.EMBEDDING])
        pixels = (np.stack(chips).astype(np.float32) - 127.5) / 128
        embeddings["chip"].append(head.flat(behind_chip.predict_on_batch(pixels)).numpy())
    joined = {name: np.concatenate(parts).astype(np.float64) for name, parts in embeddings.items()}
    return {name: rows / np.linalg.norm(rows, axis=1, keepdims=True) for name, rows in joined.items()}


def main(root, pairs_file, scratch):
    """Prints the figures of both, and their differences."""
    pairs = list(read_pairs(pairs_file))
    files = sorted({file for pair in pairs for file in pair[:2]})
    points = find_points(Path(root), files, Path(scratch) / "points.npz")
    row = {file: number for number, file in enumerate(points)}
    person = np.array([file.split("/")[0] for file in points])
    same = np.array([pair[2] for pair in pairs])
    accepted = {}
    for name, rows in embed(Path(root), points).items():
        # A pair with an image without a face is refused.
        scores = np.array([rows[row[a]] @ rows[row[b]] if a in row and b in row else -1 for a, b, _ in pairs])
        accuracy = ten_fold_accuracy(scores, same, np.repeat(np.arange(10), 600))
        first, second = np.triu_indices(len(rows), 1)
        impostors = (rows @ rows.T)[first, second][person[first] != person[second]]
        print(f"{name}: accuracy {accuracy.accuracy:.4f} +- {accuracy.stderr:.4f}")
        for far in FARS:
            behind = round(far * len(impostors))
            threshold = np.partition(impostors, len(impostors) - behind)[len(impostors) - behind]
            accepted[name, far] = scores[same] >= threshold
            print(f"  FAR {far:g}: TAR {accepted[name, far].mean():.4f}, threshold {threshold:.4f}")
    # 95 % intervals of the difference: 1,000 draws of the people of the genuine pairs.
    people, place = np.unique([a.split("/")[0] for a, _, one in pairs if one], return_inverse=True)
    random = np.random.default_rng(0)
    for far in FARS:
        gain = accepted["chip", far].astype(float) - accepted["slice", far]
        draws = []
        for _ in range(1000):
            times = np.bincount(random.integers(0, len(people), len(people)), minlength=len(people))[place]
            draws.append((times * gain).sum() / times.sum())
        low, high = np.quantile(draws, [0.025, 0.975])
        print(
            f"FAR {far:g}: TAR of the chip above the slice's by {gain.mean():.4f} ({low:.4f} to {high:.4f})"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
