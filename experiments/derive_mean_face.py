"""Derives urfr_tf/faces/mean_face.json: the mean 3-D face of frontal photographs.

Needs its own environment (mediapipe is no dependency of the package):

    python3.11 -m venv /tmp/mp && /tmp/mp/bin/pip install mediapipe==0.10.21
    /tmp/mp/bin/python experiments/derive_mean_face.py --lfw ../shared/data/lfw.tar \
        --compare ../shared/face3d/canonical_face_model.obj

1. MediaPipe's face mesh on the first photograph of every person of LFW: 468 landmarks each.
2. Generalised Procrustes analysis (Gower 1975): the similarity in 3-D of every face to the mean, the
   mean again, until it stands still. Faces whose yaw or pitch exceeds --frontal degrees are left out,
   and so are the --outliers of the rest whose form is farthest from the mean; then the same again.
3. Left and right are paired by the mean's own reflection and averaged.
4. The mesh guesses depth from one photograph; where a face is turned, the landmarks in the image plane
   show it. So the depth of the mean is scaled by the factor with which it fits, under weak perspective,
   the image-plane landmarks of the faces turned by --turned degrees and more best.
5. Triangles: Delaunay of the right half in the coordinates (azimuth, height) of a cylinder around the
   head's vertical axis, in which no piece of a face folds over another; the left half is its mirror.

Frame: x to the image's right, y down, z away from the camera; origin midway between the centres of the
eyes, whose distance is 1; rotated so that the mean camera of the frontal photographs looks along z.
"""

import argparse
import json
import sys
import tarfile
from pathlib import Path

import cv2
import mediapipe
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import Delaunay

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from urfr_tf.files import write_text  # noqa: E402

# Vertices of MediaPipe's numbering; left and right as seen in the image.
POINT_VERTICES = {
    "left_eye": [33, 133, 159, 145],
    "right_eye": [263, 362, 386, 374],
    "nose": [1, 4],
    "left_mouth": [61],
    "right_mouth": [291],
}
EARS = [234, 454]


def landmarks(tar_path: str, limit: int | None) -> tuple[np.ndarray, int]:
    """Landmarks [N, 468, 3] in pixels (z in the scale of x) and how many photographs were looked at."""
    landmarks, looked = [], 0
    options = {"static_image_mode": True, "max_num_faces": 1, "refine_landmarks": False}
    with tarfile.open(tar_path) as tar, mediapipe.solutions.face_mesh.FaceMesh(**options) as mesh:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if not member.name.endswith("_0001.jpg"):
                continue
            if limit and looked >= limit:
                break
            looked += 1
            encoded = np.frombuffer(tar.extractfile(member).read(), np.uint8)
            image = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            result = mesh.process(image)
            if result.multi_face_landmarks:
                height, width = image.shape[:2]
                points = result.multi_face_landmarks[0].landmark
                landmarks.append([[p.x * width, p.y * height, p.z * width] for p in points])
    return np.asarray(landmarks), looked


def rotation_to(faces: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotations [N, 3, 3] that bring centred `faces` [N, V, 3] nearest to `target` [V, 3]."""
    u, _, vt = np.linalg.svd(np.einsum("nvi,vj->nij", faces, target))
    sign = np.ones((len(faces), 3))
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    return np.einsum("nij,nj,njk->nki", u, sign, vt)


def procrustes(faces: np.ndarray, rounds: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [V, 3], rotation of each face against it [N, 3, 3], distance of each form from it [N]."""
    forms = faces - faces.mean(1, keepdims=True)
    forms = forms / np.linalg.norm(forms, axis=(1, 2), keepdims=True)
    mean = forms[0]
    for _ in range(rounds):
        rotations = rotation_to(forms, mean)
        aligned = np.einsum("nij,nvj->nvi", rotations, forms)
        moved = aligned.mean(0)
        moved /= np.linalg.norm(moved)
        if np.abs(moved - mean).max() < 1e-9:
            break
        mean = moved
    # The frame in which the mean camera looks along z: the mean of the rotations is the identity.
    u, _, vt = np.linalg.svd(rotations.mean(0))
    frame = (u @ vt).T
    mean = mean @ frame.T
    rotations = rotation_to(forms, mean)
    aligned = np.einsum("nij,nvj->nvi", rotations, forms)
    return mean, rotations, np.linalg.norm(aligned - mean, axis=(1, 2))


def symmetric(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean made symmetric about x = 0, and the partner of each vertex [V]."""
    flip = np.array([-1.0, 1.0, 1.0])
    partner = np.arange(len(mean))
    for _ in range(5):
        mirrored = mean * flip
        distance = np.linalg.norm(mean[:, None] - mirrored[None], axis=2)
        partner = linear_sum_assignment(distance**2)[1]
        reflected = mirrored[partner]
        # Bring the reflected face onto the face before the two are averaged.
        shift = mean.mean(0) - reflected.mean(0)
        rotation = rotation_to((reflected - reflected.mean(0))[None], mean - mean.mean(0))[0]
        reflected = (reflected - reflected.mean(0)) @ rotation.T + reflected.mean(0) + shift
        average = (mean + reflected) / 2
        # Its plane of symmetry: the normal is the first axis of (vertex - partner).
        normal = np.linalg.svd(average - average[partner])[2][0]
        normal *= np.sign(normal[0])
        middle = ((average + average[partner]) / 2).mean(0)
        down = np.array([0.0, 1.0, 0.0]) - normal[1] * normal
        down /= np.linalg.norm(down)
        axes = np.stack([normal, down, np.cross(normal, down)])
        mean = (average - middle) @ axes.T
    mean = (mean + (mean * flip)[partner]) / 2
    if not (partner[partner] == np.arange(len(mean))).all():
        raise SystemExit("the pairing of left and right is not an involution: is the mean a face?")
    return mean, partner


def residual(faces: np.ndarray, mean: np.ndarray, rounds: int = 30) -> float:
    """Mean RMS, in units of `mean`, that weak-perspective cameras leave of landmarks' x and y [N, V, 2].

    Alternates between the depth that the camera implies and the rotation that fits all three coordinates.
    """
    plane = faces[..., :2] - faces[..., :2].mean(1, keepdims=True)
    form = mean - mean.mean(0)
    affine = np.einsum("nvi,vj->nij", plane, np.linalg.pinv(form).T)
    u, scale, vt = np.linalg.svd(affine, full_matrices=False)
    rows, scale = u @ vt, scale.mean(1)
    for _ in range(rounds):
        depth = np.einsum("vj,nj->nv", form, np.cross(rows[:, 0], rows[:, 1])) * scale[:, None]
        target = np.concatenate([plane, depth[..., None]], 2)
        u, _, vt = np.linalg.svd(np.einsum("nvi,vj->nij", target, form))
        sign = np.ones((len(faces), 3))
        sign[:, 2] = np.sign(np.linalg.det(u @ vt))
        rows = ((u * sign[:, None]) @ vt)[:, :2]
        seen = np.einsum("nij,vj->nvi", rows, form)
        scale = (seen * plane).sum((1, 2)) / (seen**2).sum((1, 2))
    error = seen - plane / scale[:, None, None]
    return float(np.sqrt((error**2).sum(2).mean(1)).mean())


def depth_scale(faces: np.ndarray, mean: np.ndarray) -> tuple[float, float, float]:
    """The factor on the mean's depth that fits the image plane best; the residual there and at 1."""
    factors = np.arange(0.8, 1.61, 0.05)
    errors = np.array([residual(faces, mean * [1, 1, factor]) for factor in factors])
    best = int(np.clip(errors.argmin(), 1, len(factors) - 2))
    low, mid, high = errors[best - 1 : best + 2]
    factor = factors[best] + 0.05 * 0.5 * (low - high) / (low - 2 * mid + high)
    return float(factor), float(mid), residual(faces, mean)


def triangles(mean: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Triangles [T, 3] over all vertices, mirror-symmetric."""
    axis = mean[EARS, 2].mean()
    half = np.where(mean[:, 0] >= -1e-9)[0]
    azimuth = np.arctan2(mean[half, 0], axis - mean[half, 2])
    right = half[Delaunay(np.stack([azimuth, mean[half, 1]], 1)).simplices]
    middle = (np.abs(mean[right, 0]) < 1e-9).all(1)  # slivers between vertices of the midline
    right = right[~middle]
    return np.concatenate([right, partner[right][:, ::-1]])


def compare(mean: np.ndarray, path: str) -> float:
    """RMS distance per vertex to a .obj of the same numbering after a similarity, in eye distances."""
    lines = Path(path).read_text().splitlines()
    other = np.array([[float(v) for v in line.split()[1:4]] for line in lines if line.startswith("v ")])
    other = other * [1, -1, -1]  # its y is up and its z towards the camera
    centred, target = other - other.mean(0), mean - mean.mean(0)
    turned = centred @ rotation_to(centred[None], target)[0].T
    turned *= (turned * target).sum() / (turned**2).sum()
    return float(np.sqrt(((turned - target) ** 2).sum(1).mean()))


def eye_distance(vertices: np.ndarray) -> float:
    left, right = (vertices[POINT_VERTICES[name]].mean(0) for name in ("left_eye", "right_eye"))
    return float(np.linalg.norm(left - right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lfw", required=True)
    parser.add_argument("--compare")
    parser.add_argument("--frontal", type=float, default=10.0, help="greatest yaw and pitch in degrees")
    parser.add_argument("--turned", type=float, default=25.0, help="least yaw of faces that tell the depth")
    parser.add_argument("--outliers", type=float, default=0.05, help="share of forms left out")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", default=str(ROOT / "urfr_tf/faces/mean_face.json"))
    arguments = parser.parse_args()

    faces, looked = landmarks(arguments.lfw, arguments.limit)
    _, rotations, _ = procrustes(faces)
    yaw = np.degrees(np.arcsin(np.clip(rotations[:, 0, 2], -1, 1)))
    pitch = np.degrees(np.arcsin(np.clip(rotations[:, 1, 2], -1, 1)))
    frontal = faces[(np.abs(yaw) < arguments.frontal) & (np.abs(pitch) < arguments.frontal)]
    _, _, distance = procrustes(frontal)
    inliers = frontal[distance <= np.quantile(distance, 1 - arguments.outliers)]
    mean, _, distance = procrustes(inliers)
    mean, partner = symmetric(mean)

    points = {name: mean[indices].mean(0) for name, indices in POINT_VERTICES.items()}
    mean = mean - (points["left_eye"] + points["right_eye"]) / 2
    flat = mean / eye_distance(mean)
    turned = faces[(np.abs(yaw) >= arguments.turned) & (np.abs(pitch) < arguments.frontal)]
    factor, after, before = depth_scale(turned, flat)
    mean = np.round(flat * [1, 1, factor], 4)
    faces_list = triangles(mean, partner)

    half_means = [symmetric(procrustes(inliers[start::2])[0])[0] for start in (0, 1)]
    split = half_means[0] / eye_distance(half_means[0]) - half_means[1] / eye_distance(half_means[1])
    provenance = {
        "script": "experiments/derive_mean_face.py",
        "photographs": "Labeled Faces in the Wild, the first of each person",
        "looked_at": looked,
        "found": len(faces),
        "frontal_degrees": arguments.frontal,
        "frontal": len(frontal),
        "used": len(inliers),
        "rms_between_halves_of_the_faces": round(float(np.sqrt((split**2).sum(1).mean())), 5),
        "depth_factor": round(factor, 4),
        "depth_from_turned": len(turned),
        "turned_degrees": arguments.turned,
        "residual_in_the_image_plane_before_and_after": [round(before, 4), round(after, 4)],
        "versions": {"mediapipe": mediapipe.__version__, "numpy": np.__version__},
        "frame": "x right, y down, z away from the camera; origin between the eyes, their distance is 1",
    }
    if arguments.compare:
        distances = [round(compare(form, arguments.compare), 4) for form in (flat, mean)]
        provenance["rms_to_mediapipe_canonical_before_and_after_depth"] = distances
    rows = ",\n  ".join(json.dumps([float(v) for v in row]) for row in mean)
    cells = ",\n  ".join(json.dumps([int(v) for v in row]) for row in faces_list)
    head = ",\n ".join(
        f"{json.dumps(key)}: {json.dumps(value)}"
        for key, value in {
            "provenance": provenance,
            "points": POINT_VERTICES,
            "partner": partner.tolist(),
        }.items()
    )
    write_text(
        arguments.out, f'{{\n {head},\n "vertices": [\n  {rows}\n ],\n "triangles": [\n  {cells}\n ]\n}}\n'
    )
    print(json.dumps(provenance, indent=1))
    print({name: np.round(mean[at].mean(0), 3).tolist() for name, at in POINT_VERTICES.items()})


if __name__ == "__main__":
    main()
