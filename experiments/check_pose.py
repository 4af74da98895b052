"""Does MediaPipe's face mesh see the yaw that `urfr_tf.augment.pose.turn` was asked for?

Two environments, because mediapipe is no dependency of the package (see derive_mean_face.py for /tmp/mp):

    /tmp/mp/bin/python experiments/check_pose.py align --lfw ../shared/data/lfw.tar --work /tmp/pose
    .venv/bin/python   experiments/check_pose.py turn --work /tmp/pose
    /tmp/mp/bin/python experiments/check_pose.py measure --work /tmp/pose

`align`: the second photograph of every person of LFW who has one (the mean face was made from the first
ones); kept are those the mesh sees within --frontal degrees of frontal; five points from the mesh, least
squares similarity to ArcFace's template, 112 x 112 crops (with --margin more of the photograph around).
`turn`: each crop to yaws from -60 to 60, once with its points and once without. `measure`: the mesh on the
turned crops (enlarged, with a border); its yaw is that of the rotation that brings the mean face nearest to
its landmarks.

The folder --work holds photographs of people: it is never committed.
"""

import argparse
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
YAWS = (-60, -45, -30, -15, 0, 15, 30, 45, 60)


def mean_face() -> tuple[np.ndarray, list[list[int]]]:
    raw = json.loads((ROOT / "urfr_tf/faces/mean_face.json").read_text())
    return np.array(raw["vertices"]), list(raw["points"].values())


class Mesh:
    """MediaPipe's face mesh on one RGB image."""

    def __init__(self) -> None:
        import mediapipe

        self.mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1)
        self.mean, self.points = mean_face()
        self.mean = self.mean - self.mean.mean(0)

    def landmarks(self, image: np.ndarray) -> np.ndarray | None:
        """Landmarks [468, 3] in pixels, or None where no face is found."""
        result = self.mesh.process(np.ascontiguousarray(image))
        if not result.multi_face_landmarks:
            return None
        size = np.array([image.shape[1], image.shape[0], image.shape[1]])
        return np.array([[p.x, p.y, p.z] for p in result.multi_face_landmarks[0].landmark])[:468] * size

    def angles(self, landmarks: np.ndarray) -> tuple[float, float]:
        """Yaw and pitch in degrees, in the convention of urfr_tf/faces/shape.py."""
        u, _, vt = np.linalg.svd(self.mean.T @ (landmarks - landmarks.mean(0)))
        sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
        rotation = (u * sign @ vt).T  # head to camera
        facing = -rotation[:, 2]
        # R = roll . pitch . yaw: roll does not change depth, so undo it by the image of "down".
        down = rotation[:, 1]
        pitch = np.arcsin(np.clip(-down[2], -1, 1))
        length = max(np.hypot(down[0], down[1]), 1e-9)
        along = (facing[0] * down[1] - facing[1] * down[0]) / length
        yaw = np.arctan2(along, -facing[2] / np.cos(pitch))
        return float(np.degrees(yaw)), float(np.degrees(pitch))


def align(arguments: argparse.Namespace) -> None:
    import cv2

    mesh, crops, points, measured, looked = Mesh(), [], [], [], 0
    with tarfile.open(arguments.lfw) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if not member.name.endswith("_0002.jpg") or len(crops) >= arguments.limit:
                continue
            looked += 1
            file: Any = tar.extractfile(member)
            image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            landmarks = mesh.landmarks(image)
            if landmarks is None:
                continue
            angles = mesh.angles(landmarks)
            if not arguments.all and max(abs(angles[0]), abs(angles[1])) > arguments.frontal:
                continue
            five = np.stack([landmarks[vertices, :2].mean(0) for vertices in mesh.points])
            matrix = similarity(five, TEMPLATE + arguments.margin)
            crops.append(
                cv2.warpAffine(
                    np.ascontiguousarray(image),
                    matrix,
                    (112 + 2 * arguments.margin,) * 2,
                    borderMode=cv2.BORDER_REPLICATE,
                )
            )
            points.append((five @ matrix[:, :2].T + matrix[:, 2]).ravel())
            measured.append(angles)
    arguments.work.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.work / "crops.npz", images=crops, points=np.float32(points), angles=measured)
    print(f"{len(crops)} crops of {looked} photographs, all within {arguments.frontal} degrees of frontal")


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity [2, 3] from points [N, 2] to points [N, 2]."""
    p, q = source - source.mean(0), target - target.mean(0)
    real, imaginary = (p * q).sum(), (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()
    turn = np.array([[real, -imaginary], [imaginary, real]]) / (p**2).sum()
    return np.concatenate([turn, (target.mean(0) - turn @ source.mean(0))[:, None]], 1)


def turn(arguments: argparse.Namespace) -> None:
    from urfr_tf.augment import pose

    crops = np.load(arguments.work / "crops.npz")
    turned = {}
    for name in ("points", "template"):
        for yaw in YAWS:
            batches = []
            for start in range(0, len(crops["images"]), 64):
                images = crops["images"][start : start + 64].astype(np.float32)
                points = crops["points"][start : start + 64]
                points = points if name == "points" else np.full_like(points, -1)
                batches.append(pose.turn(images, points, np.full(len(images), yaw, np.float32)).numpy())
            turned[f"{name}_{yaw}"] = np.clip(np.round(np.concatenate(batches)), 0, 255).astype(np.uint8)
    np.savez(arguments.work / "turned.npz", **turned)


def enlarged(crop: np.ndarray, border: int) -> np.ndarray:
    """A crop four times as large, with a border of its mean color so that the face does not fill it."""
    import cv2

    large = cv2.resize(crop, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    color = [float(v) for v in crop.mean((0, 1))]
    return cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_CONSTANT, value=color)


def measure(arguments: argparse.Namespace) -> None:
    mesh = Mesh()
    crops, turned = np.load(arguments.work / "crops.npz"), np.load(arguments.work / "turned.npz")
    yaw, pitch = np.array(crops["angles"]).T
    print(f"photographs: yaw {np.std(yaw):.1f} (sd), pitch {np.std(pitch):.1f} (sd) degrees")
    sets = {"not turned": (crops["images"], None)}
    sets.update({name: (turned[name], int(name.split("_")[1])) for name in turned.files})
    print("set            found   seen: 10 % quarter median quarter 90 %   |seen - asked|: median 90 %")
    for name, (images, requested) in sets.items():
        measured = []
        for image in images[: arguments.limit]:
            landmarks = mesh.landmarks(enlarged(image, arguments.border))
            if landmarks is not None:
                measured.append(mesh.angles(landmarks)[0])
        count = min(len(images), arguments.limit)
        spread = " ".join(f"{v:6.1f}" for v in np.percentile(measured, [10, 25, 50, 75, 90]))
        error = np.abs(np.array(measured) - (requested or 0))
        print(
            f"{name:14s} {len(measured) / count:6.3f}  {spread}    {np.median(error):5.1f} "
            f"{np.percentile(error, 90):5.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["align", "turn", "measure"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--lfw")
    parser.add_argument("--frontal", type=float, default=10.0)
    parser.add_argument("--all", action="store_true", help="keep photographs that are not frontal, too")
    parser.add_argument("--limit", type=int, default=10**9)
    parser.add_argument("--margin", type=int, default=0, help="more pixels of the photograph around the crop")
    parser.add_argument("--border", type=int, default=150, help="pixels around the enlarged crop")
    arguments = parser.parse_args()
    {"align": align, "turn": turn, "measure": measure}[arguments.step](arguments)


if __name__ == "__main__":
    main()
