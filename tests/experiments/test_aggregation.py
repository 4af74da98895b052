"""The page on how much a confidence should weigh: its figures by hand, its frames from a set that was
made."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from experiments.reproduce.aggregation import (
    NORM_POWERS,
    SHARPNESS,
    Frames,
    alike,
    figures,
    frames_of,
    sweep,
    why,
)
from experiments.reproduce.surveillance import LOST, Face, frame_plan, write_ijbs
from urfr_tf.evaluation.scoring import make_faces


class Colours:
    """Mean colour as an embedding of one group, and a confidence that falls with what is lost."""

    input_size = aligned_size = 32
    dim, groups, fingerprint = 3, 1, "colours"

    def embed_pixels(self, images):
        colour = images.astype(np.float32).mean(axis=(1, 2)) - 127.5
        edges = np.abs(np.diff(images.astype(np.float32), axis=2)).mean(axis=(1, 2, 3))
        unit = colour / np.linalg.norm(colour, axis=1, keepdims=True)
        return {"embedding": unit, "variance": 1 / (1 + edges[:, None]), "norm": 1 + edges}


@pytest.fixture(scope="module")
def video_set(tmp_path_factory):
    """Six people of four colours each, half of whose frames are lost."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("made")
    people = {}
    for person in range(6):
        tone = random.uniform(30, 225, 3)
        faces = []
        for image in range(4):
            small = np.clip(tone + random.normal(0, 60, [8, 8, 3]), 0, 255)
            pixels = np.clip(cv2.resize(small, (32, 32), interpolation=cv2.INTER_CUBIC), 0, 255)
            faces.append(Face(f"p{person}/{image}", pixels.astype(np.uint8), np.full(10, -1, np.float32)))
        people[f"p{person}"] = faces
    write_ijbs(people, folder, 0, LOST)
    return folder


def test_frames_are_known_by_their_names(video_set):
    frames = frames_of(Colours(), video_set, LOST)
    names = [path.stem for path in video_set.rglob("*.png")]
    lost = [
        name for name in names if name.startswith("videos") and frame_plan(0, name, LOST)["resolution"] < 16
    ]
    assert 0 < frames.lost.sum() == len(lost) < len(names)
    # Of four images two are booked, and two and the first enrolled one are videos: 6 people, 2 images, 12
    # frames.
    assert frames.clean.sum() == 12 and len(frames.lost) == 12 + 72
    assert not (frames.lost & frames.clean).any()
    assert set(frames.subject) == {str(number) for number in range(1, 7)}
    # A lost frame has fewer edges, so this model knows.
    confidence = 1 / frames.faces.variance[:, 0]
    assert confidence[frames.lost].mean() < confidence[~frames.lost].mean()


def test_every_way_to_make_a_template_has_a_row(video_set):
    frames = frames_of(Colours(), video_set, LOST)
    lines = sweep(frames, frames)
    assert len(lines) == 2 + 2 + len(SHARPNESS) + len(NORM_POWERS)
    # Both halves are of the same frames here.
    cells = lines[2].split(" | ")[1:]
    cells[-1] = cells[-1].removesuffix(" |")
    assert cells[:6] == cells[6:] == figures(frames, "cosine")
    # Sharpness 1 is the fusion by variance, compared by cosine: not the mean.
    assert figures(frames, "weighted", 0.0) == figures(frames, "cosine")
    # This model's norm is its confidence; without confidences only the norm is left.
    assert figures(frames, "weighted", 4.0, True) == figures(frames, "weighted", 4.0)
    plain = replace(frames, faces=frames.faces._replace(variance=np.ones_like(frames.faces.variance)))
    assert len(sweep(plain, plain)) == 2 + 1 + len(NORM_POWERS)
    assert why(plain) == ["Without confidences."]


def test_bound_order_and_likeness_by_hand():
    # Clean images of a: 0 and 60 degrees, squared distance 2 - 2 cos 60 = 1, so the bound is (4 - 1) / 1 = 3.
    # Lost: a at 90, b at 90 degrees, cosine 1. Kept: a at 0, b at 90, cosine 0. Confidences: clean 8, kept 4
    # and 1, lost 2.
    degrees = np.deg2rad([0, 60, 90, 90, 0, 90])
    embedding = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    variance = 1 / np.array([[8], [8], [2], [2], [4], [1]])
    lost, clean = np.array([0, 0, 1, 1, 0, 0], bool), np.array([1, 1, 0, 0, 0, 0], bool)
    frames = Frames(None, make_faces(embedding, variance), np.array([*"aaabab"]), lost, clean)
    assert alike(frames) == ["1.00", "0.00"]
    first, second = why(frames)
    assert "8.0 of enrolled images, 2.5 of kept frames, 2.0 of lost ones" in first
    assert "in 50.0 % of the cases" in first
    assert "sub-embeddings: 1.00" in second and "at most 3.0 times" in second and "measured 4.0" in second
