"""How much a confidence should weigh in a template: measured on videos of validation people, half of whose frames are lost.

    python -m benchmarks.reproduce.aggregation --run "from scratch=RUN" --tests runs/small/data/validation_tests --out docs/aggregation.md

RUN has been through the uncertainty stage; TESTS are what `make reproduce-small REPRODUCE_FLAGS=--causes` makes. Several `--run` have as many
`--tests`. `--heap` adds a run to the table of how alike frames of different people are. Nobody in them is trained on or tested, so the sharpness of the score `weighted` was chosen here.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from urfr_tf.quiet import quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    quiet_libraries()

import numpy as np

from benchmarks.command import with_sentences
from benchmarks.reproduce.plan import IJBS, IJBS_LOST
from benchmarks.reproduce.surveillance import LOST, LOST_SIZE, frame_plan
from benchmarks.reproduce.tables import table
from urfr_tf import heads
from urfr_tf.data.images import decode_image
from urfr_tf.errors import UrfrError
from urfr_tf.evaluate import measure
from urfr_tf.files import write_text
from urfr_tf.inference import load
from urfr_tf.protocols.open import open_protocol
from urfr_tf.protocols.protocol import Templates
from urfr_tf.protocols.result import Wish
from urfr_tf.protocols.scoring import COSINE, LIKELIHOOD, WEIGHTED, Faces, faces_of

SHARPNESS, NORM_POWERS = (1, 2, 3, 4, 6, 8, 12), (1, 4, 8, 12)
COLUMNS = ("rank1", "tpir@fpir=0.01", "tpir@fpir=0.1")
HEADING = ("rank 1", "TPIR, FPIR 1 %", "TPIR, FPIR 10 %")
_AT_ONCE = 256


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
    protocol = open_protocol("ijbs", str(folder))
    assert isinstance(protocol, Templates)
    images, files = [], []
    for item in protocol.images.stream():
        files.append(Path(str(item.file)))
        images.append(decode_image(files[-1].read_bytes()))
    outputs = [model.with_norm(np.stack(images[i : i + _AT_ONCE])) for i in range(0, len(images), _AT_ONCE)]
    embedding, variance, norm = (
        np.concatenate([output[name] for output in outputs])
        for name in (heads.EMBEDDING, heads.VARIANCE, "norm")
    )
    clean = np.array([path.stem.startswith("img_") for path in files])
    plans = [frame_plan(0, path.stem, lost)["resolution"] for path in files]
    small = np.array([plan <= LOST_SIZE[1] for plan in plans])
    return Frames(
        protocol,
        faces_of(embedding, variance, norm=norm.reshape(len(norm), -1).mean(axis=1)),
        np.array([path.parent.name for path in files]),
        small & ~clean,
        clean,
    )


def figures(frames: Frames, score: str, sharpness: float = 1.0, by_norm: bool = False) -> list[str]:
    """Cells: of S2S, then of S2B; `by_norm`: with the norm of the embedding in place of the confidences."""
    faces = frames.faces
    if by_norm:
        faces = faces._replace(variance=np.ones_like(faces.variance) / faces.norm[:, None])
    metrics = measure(
        frames.protocol, faces, Wish(score, thin=True, replicates=0, sharpness=sharpness)
    ).metrics
    return [f"{100 * metrics[f'{part}/{name}']:.1f}" for part in ("s2s", "s2b") for name in COLUMNS]


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
    heading = [
        f"{part} {column}{of}"
        for of in ("", ", half of the frames lost")
        for part in ("S2S", "S2B")
        for column in HEADING
    ]
    return table(["", *heading], rows)


def pairs_of(subject: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows (i, j), i < j, of one person or of two."""
    equal = subject[:, None] == subject[None, :]
    return np.nonzero(np.triu(equal if same else ~equal, 1))


def why(frames: Frames) -> list[str]:
    """What the confidences know about the frames, and how far they can be apart at all."""
    faces, confidence = frames.faces, 1.0 / frames.faces.variance.mean(axis=1)
    kept = ~frames.lost & ~frames.clean
    right = float(np.mean(confidence[kept][:, None] > confidence[frames.lost][None, :]))
    first, second = pairs_of(frames.subject[frames.clean], same=True)
    clean = faces.embedding[frames.clean]
    distance = float(np.mean(((clean[first] - clean[second]) ** 2).sum(-1)))
    level = {
        name: float(np.median(confidence[rows]))
        for name, rows in (("clean", frames.clean), ("kept", kept), ("lost", frames.lost))
    }
    if is_constant(faces):
        return ["Without confidences."]
    return [
        f"- Median confidence: {level['clean']:.1f} of enrolled images, {level['kept']:.1f} of kept frames, {level['lost']:.1f} of lost ones. "
        f"Of a kept and a lost frame the kept one has the higher confidence in {100 * right:.1f} % of the cases: the order is known.",
        f"- Squared distance of two clean images of a person, mean over the sub-embeddings: {distance:.2f}, so by likelihood a clean image may "
        f"weigh at most {(4 - distance) / distance:.1f} times what a lost one does; measured {level['clean'] / level['lost']:.1f}.",
    ]


def alike(frames: Frames) -> list[str]:
    """Cells: mean cosine of frames of two different people, both lost, and both kept."""
    cells = []
    for rows in (frames.lost, ~frames.lost & ~frames.clean):
        embedding = frames.faces.embedding[rows]
        flat = embedding.reshape(len(embedding), -1) / np.sqrt(embedding.shape[1])
        first, second = pairs_of(frames.subject[rows], same=False)
        cells.append(f"{np.mean((flat @ flat.T)[first, second]):.2f}")
    return cells


_THEORY = (
    "## Why a likelihood does not weigh enough",
    "",
    "For a pair of one person the negative mutual likelihood of a sub-embedding of d numbers is least where v_i + v_j = |f_i - f_j|^2 / d. "
    "Sub-embeddings have norm 1, so unrelated ones are at a squared distance of 2. With a mean distance q of clean pairs "
    "v_clean = q / 2d, and of a lost image beside a clean one v_lost = 2 / d - q / 2d at most: the ratio of their weights is (4 - q) / q at most. "
    "The nearer a network holds images of one person, the more a confidence can say. And the inverse variance is the best weight of errors that are "
    "independent of one another, which many frames average out. Those of lost frames are not: all look alike to the network, whoever is "
    "in them (the last table), so they add up. Hence a power of the confidences as weight, `--score weighted --sharpness P`, and the cosine "
    "of the templates, which asks nothing more of the variance.",
    "",
)


def lines(named: Sequence[tuple[str, Any, Path]], heaped: Sequence[tuple[str, Any, Path]] = ()) -> list[str]:
    """The page: (name, model, folder of the tests) of each run; `heaped`: of those whose frames are only compared."""
    page = [
        "# How much a confidence should weigh in a template",
        "",
        "Written by `python -m benchmarks.reproduce.aggregation`; no figure here is typed. Videos of four frames, each degraded, of validation people, who are neither "
        f"trained on nor tested; in the second half of each table a frame is lost with a probability of {LOST:g}: it is {LOST_SIZE[0]} to {LOST_SIZE[1]} pixels wide, and nobody can be recognised. "
        "Per cent; one seed.",
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
    parser.add_argument("--run", required=True, action="append", metavar="NAME=RUN")
    parser.add_argument("--tests", required=True, action="append", type=Path)
    parser.add_argument("--heap", nargs=2, action="append", default=[], metavar=("NAME=RUN", "TESTS"))
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    if len(args.run) != len(args.tests):
        raise UrfrError(f"expected as many --tests as --run, but got {len(args.tests)} and {len(args.run)}")
    named = [_loaded(text, tests) for text, tests in zip(args.run, args.tests, strict=True)]
    heaped = [_loaded(text, Path(tests)) for text, tests in args.heap]
    write_text(args.out, "\n".join(lines(named, heaped)))
    print(args.out)


def _loaded(text: str, tests: Path) -> tuple[str, Any, Path]:
    name, equals, path = text.partition("=")
    if not equals:
        raise UrfrError(f"expected NAME=RUN, but got {text}")
    return name, load(path, bulk=True), tests


if __name__ == "__main__":
    sys.exit(main())
