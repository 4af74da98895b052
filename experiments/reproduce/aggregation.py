"""How much a confidence should weigh in a template: measured on videos of validation people, half of whose
frames are lost.

    python -m experiments.reproduce.aggregation --run "from scratch" RUN runs/small/data/validation_tests
    --out docs/lab/aggregation.md

RUN has been through the uncertainty stage or has no confidences; TESTS are what `make reproduce-small
REPRODUCE_FLAGS=--ablations` makes. `--heap` adds a run to the table of how alike frames of different people
are. Nobody in them is trained on or tested, so the sharpness of the score `weighted` was chosen here.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from urfr_tf.system.quiet import leave_out_keras_3, quiet_compiler, quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    leave_out_keras_3()
    quiet_libraries()

import numpy as np

from experiments.command import with_sentences
from experiments.reproduce.captions import cosine_of_strangers
from experiments.reproduce.plan import IJBS, IJBS_LOST
from experiments.reproduce.surveillance import LOST, LOST_SIZE, frame_plan
from experiments.reproduce.tables import SEARCHES, table
from urfr_tf.data.cropper import CropSettings
from urfr_tf.evaluation.embedding import embed_images
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.scoring import CONFIDENCE, COSINE, LIKELIHOOD, NORM, WEIGHTED, Faces
from urfr_tf.files import write_text
from urfr_tf.protocols.ijbs import open_ijbs
from urfr_tf.protocols.protocol import Templates
from urfr_tf.runs.load_model import load_model

SHARPNESS, NORM_POWERS = (1, 2, 3, 4, 6, 8, 12), (1, 4, 6, 8, 12)


@dataclass(frozen=True)
class Frames:
    """A made set, embedded.

    Attributes:
        protocol: its searches. faces: its images.
        subject: str [N], whose image it is. lost, clean: bool [N], frames that are lost, and enrolled images.
    """

    protocol: Templates
    faces: Faces
    subject: np.ndarray
    lost: np.ndarray
    clean: np.ndarray


def frames_of(model: Any, folder: Path, lost: float) -> Frames:
    """Embeds a set that `surveillance` made with its seed of 0."""
    protocol = open_ijbs(str(folder))
    settings = CropSettings(size=model.aligned_size, min_side=1, lossless=True)
    faces, _ = embed_images(model, protocol.images, settings)
    files = [Path(str(item.file)) for item in protocol.images.stream()]
    clean = np.array([path.stem.startswith("img_") for path in files])
    plans = [frame_plan(0, path.stem, lost)["resolution"] for path in files]
    small = np.array([plan <= LOST_SIZE[1] for plan in plans])
    return Frames(
        protocol,
        faces,
        np.array([path.parent.name for path in files]),
        small & ~clean,
        clean,
    )


def figures(frames: Frames, score: str, sharpness: float = 1.0, by_norm: bool = False) -> list[str]:
    """Cells: of S2S, then of S2B; `by_norm`: with the norm of the embedding in place of the confidences."""
    weight = NORM if by_norm else CONFIDENCE
    request = EvaluationRequest(score, thin_far=True, sharpness=sharpness, weight=weight)
    metrics = plan_measurement(frames.protocol, request).measure(frames.faces, metrics_only=True).metrics
    return [f"{100 * metrics[name]:.1f}" for name in SEARCHES.values()]


def is_constant(faces: Faces) -> bool:
    """Whether no image has another confidence than the others, but for rounding."""
    return float(np.ptp(faces.variance)) < 1e-4 * float(faces.variance.mean())


def sweep(usual: Frames, lost: Frames) -> list[str]:
    """The table of all ways to make a template and to compare it."""
    ways: list[tuple[str, str, float, bool]] = [("mean, cosine", COSINE, 1.0, False)]
    if not is_constant(usual.faces):
        ways.append(("by variance, likelihood (the paper's PA)", LIKELIHOOD, 1.0, False))
        ways += [(f"`weighted`, sharpness {power}", WEIGHTED, float(power), False) for power in SHARPNESS]
    ways += [(f"by the norm, power {power}", WEIGHTED, float(power), True) for power in NORM_POWERS]
    rows = [[name, *figures(usual, *how), *figures(lost, *how)] for name, *how in ways]
    heading = [f"{name}{of}" for of in ("", ", half of the frames lost") for name in SEARCHES]
    return table(["", *heading], rows)


def why(frames: Frames) -> list[str]:
    """What the confidences know about the frames, and how far they can be apart at all."""
    if is_constant(frames.faces):
        return ["Without confidences."]
    confidence = 1.0 / frames.faces.variance.mean(axis=1)
    intact = ~frames.lost & ~frames.clean
    right = float(np.mean(confidence[intact][:, None] > confidence[frames.lost][None, :]))
    clean, owner = frames.faces.embedding[frames.clean], frames.subject[frames.clean]
    first, second = np.nonzero(np.triu(owner[:, None] == owner[None, :], 1))
    distance = float(np.mean(((clean[first] - clean[second]) ** 2).sum(-1)))
    level = {
        name: float(np.median(confidence[rows]))
        for name, rows in (("clean", frames.clean), ("kept", intact), ("lost", frames.lost))
    }
    return [
        f"- Median confidence: {level['clean']:.1f} of enrolled images, {level['kept']:.1f} of kept frames, "
        f"{level['lost']:.1f} of lost ones. "
        f"Of a kept and a lost frame the kept one has the higher confidence in {100 * right:.1f} % of the "
        "cases: the order is known.",
        f"- Squared distance of two clean images of a person, mean over the sub-embeddings: {distance:.2f}, "
        "so by likelihood a clean image may "
        f"weigh at most {(4 - distance) / distance:.1f} times what a lost one does; measured "
        f"{level['clean'] / level['lost']:.1f}.",
    ]


def alike(frames: Frames) -> list[str]:
    """Cells: mean cosine of frames of two different people, both lost, and both kept."""
    cells = []
    for rows in (frames.lost, ~frames.lost & ~frames.clean):
        embedding = frames.faces.embedding[rows]
        flat = embedding.reshape(len(embedding), -1) / np.sqrt(embedding.shape[1])
        cells.append(f"{cosine_of_strangers(flat, frames.subject[rows]):.2f}")
    return cells


_THEORY = (
    "## Why a likelihood does not weigh enough",
    "",
    "For a pair of one person, the negative mutual likelihood of a sub-embedding of d numbers is least at "
    "v_i + v_j = |f_i - f_j|^2 / d. Sub-embeddings have norm 1, so unrelated ones are at a squared distance "
    "of 2. Let q be the mean squared distance of clean pairs. Then v_clean = q / 2d, and a lost image beside "
    "a clean one has v_lost = 2 / d - q / 2d at most. The ratio of their weights is (4 - q) / q at most. The "
    "nearer a network holds images of one person, the more a confidence can say.",
    "",
    "The inverse variance is the best weight for errors that are independent of each other, which many "
    "frames average out. Errors of lost frames are not independent: lost frames all look alike to the "
    "network, whoever is in them (the last table), so their errors add up. `--score weighted --sharpness P` "
    "therefore weighs by a power of the confidences, and compares templates by cosine, which needs nothing "
    "more of the variance.",
    "",
)


def lines(named: Sequence[tuple[str, Any, Path]], heaped: Sequence[tuple[str, Any, Path]] = ()) -> list[str]:
    """The page: (name, model, folder of the tests) of each run; `heaped`: of those whose frames are only
    compared."""
    page = [
        "# How much a confidence should weigh in a template",
        "",
        "Written by `python -m experiments.reproduce.aggregation`. No figure here is typed. The videos have "
        "four degraded frames of validation people, who are neither trained on nor tested. In the second "
        f"half of each table a frame is lost with a probability of {LOST:g}: it is {LOST_SIZE[0]} to "
        f"{LOST_SIZE[1]} pixels wide, and nobody can be recognized. Figures are per cent, of one seed.",
        "",
        *_THEORY,
    ]
    heaps = []
    for name, model, tests in named:
        usual, lost = frames_of(model, tests / IJBS, 0.0), frames_of(model, tests / IJBS_LOST, LOST)
        probes = usual.protocol.splits[0].identifications[0].probes
        page += [f"## {name[0].upper()}{name[1:]}", "", f"{len(probes)} videos searched.", ""]
        page += [*why(lost), "", *sweep(usual, lost), ""]
        heaps.append([name, *alike(lost)])
    for name, model, tests in heaped:
        heaps.append([name, *alike(frames_of(model, tests / IJBS_LOST, LOST))])
    page += ["## How alike frames of two different people are", "", "Mean cosine.", ""]
    return [*page, *table(["", "both lost", "both kept"], heaps), ""]


@with_sentences("aggregation")
def main() -> None:
    """Reads the arguments and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    each: dict[str, Any] = {"nargs": 3, "action": "append", "metavar": ("NAME", "RUN", "TESTS")}
    parser.add_argument("--run", required=True, **each)
    parser.add_argument("--heap", default=[], **each)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    quiet_compiler()
    named, heaped = (
        [(name, load_model(run, bulk=True), Path(tests)) for name, run, tests in listed]
        for listed in (args.run, args.heap)
    )
    write_text(args.out, "\n".join(lines(named, heaped)))
    print(args.out)


if __name__ == "__main__":
    sys.exit(main())
