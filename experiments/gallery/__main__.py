"""LFW as a gallery: one photograph of everybody who has two or more; their others are the probes.

    python -m experiments.gallery --lfw lfw.tar --model NAME=MODEL [NAME=MODEL ...] [--work runs/gallery]

People with one photograph are the strangers. People are enrolled by `urfr gallery add` from photographs. The
faces of probes and strangers are found and aligned once, and searched with the functions of `urfr gallery
search` and `calibrate`; the command itself searches some of the photographs, and its answers are compared.
Give the command again to go on: what is done is skipped. Writes docs/results/gallery.md.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from experiments.command import with_sentences
from experiments.gallery.page import write_page
from experiments.gallery.split import Split, link_photographs, make_split, unpack
from urfr_tf.cli import main as urfr
from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.photographs import crop_photographs
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.degradations import read_degradations
from urfr_tf.gallery import Gallery
from urfr_tf.gallery.photographs import embed_faces
from urfr_tf.gallery.templates import Faces
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.load_model import load_model

DEGRADATIONS = ("resolution:24", "blur:11", "occlusion:3")
SCORES = ("cosine", "likelihood")
FPIR = 0.01
BY_COMMAND = 100
_AT_ONCE = 64


@with_sentences("gallery")
def main(argv: list[str] | None = None) -> int:
    """Does what is not done yet, and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lfw", required=True, type=Path, help="lfw.tar, or the folder lfw")
    parser.add_argument("--model", required=True, nargs="+", metavar="NAME=MODEL", help="rows of the tables")
    parser.add_argument("--work", type=Path, default=Path("runs/gallery"), help="galleries and answers")
    parser.add_argument("--out", type=Path, default=Path("docs/results/gallery.md"), help="the page")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="degrade only every N-th probe, to save time"
    )
    parser.add_argument("--people", type=int, metavar="N", help="only the first N people: to try it out")
    args = parser.parse_args(argv)
    models = dict(text.split("=", 1) for text in args.model)
    split = make_split(unpack(args.lfw, args.work), args.people)
    link_photographs(split, args.work / "sets")
    for name, path in models.items():
        measure(name, path, split, args.work, args.every)
    write_page(args.out, args.work, list(models), split)
    print(args.out)
    return 0


def measure(name: str, path: str, split: Split, work: Path, every: int) -> None:
    """The galleries of one model and the answers to every search in them."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    for enrolled in ("one", "three"):
        gallery = folder / f"{enrolled}.gallery"
        if not gallery.exists():
            command("create", gallery, "--model", path)
        photographs = ["--images", work / "sets" / enrolled, "--align", "mtcnn", "--faces", "central"]
        once(folder / f"{enrolled}-added.json", ["add", gallery, *photographs])
    model = load_model(path, bulk=True)
    size = model.aligned_size
    crops = align(split.probes, size, work / f"crops-{size}")
    faces = {
        "unknown": embed(model, align(split.unknown, size, work / f"crops-{size}"), folder / "unknown.npz"),
        "clean": embed(model, crops, folder / "clean.npz"),
    }
    for enrolled in ("one", "three"):
        for score in SCORES:
            answer_all(folder, enrolled, score, faces, split)
    some = split._replace(probes=split.probes[::every])
    for text in DEGRADATIONS:
        condition = text.partition(":")[0]
        paths = degrade(crops, text, work / f"degraded-{condition}-{size}", every)
        degraded = {condition: embed(model, paths, folder / f"{condition}-{every}.npz")}
        for score in SCORES:
            answer_all(folder, "one", score, degraded, some)
    few = split.probes[:: max(1, len(split.probes) // BY_COMMAND)]
    words = ["search", folder / "one.gallery", *few, "--align", "mtcnn", "--faces", "central"]
    once(folder / "by-command.json", words)


def command(*words: object) -> None:
    """Runs `urfr gallery`."""
    code = urfr(["gallery", *map(str, words)])
    if code:
        raise UrfrError(f"urfr gallery {words[0]} ended with {code}")


def once(out: Path, words: Sequence[object]) -> None:
    """Runs a command with --json and keeps what it prints, unless that was done before."""
    if out.exists():
        return
    part = out.with_suffix(".part")
    with open(part, "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        command(*words, "--json")
    part.rename(out)
    print(out, flush=True)


def align(paths: Sequence[str], size: int, folder: Path) -> list[str]:
    """Writes aligned crops as PNG files; of a photograph without a face a file that is no image."""
    outs = [folder / Path(path).parent.name / Path(path).with_suffix(".png").name for path in paths]
    left = [number for number, out in enumerate(outs) if not out.exists()]
    settings = CropSettings(size=size, align="mtcnn", faces="central")
    for number, one in zip(left, crop_photographs([paths[each] for each in left], settings), strict=True):
        outs[number].parent.mkdir(parents=True, exist_ok=True)
        write_image(outs[number], one.crop)
    return list(map(str, outs))


def degrade(crops: Sequence[str], text: str, folder: Path, every: int) -> list[str]:
    """Writes the degraded crops of every so many."""
    (degradation,) = read_degradations(text)
    chosen = list(enumerate(crops))[::every]
    outs = [folder / Path(path).parent.name / Path(path).name for _, path in chosen]
    points = np.full([1, 10], -1, np.float32)
    for (number, crop), out in zip(chosen, outs, strict=True):
        if out.exists():
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        image = cv2.imread(crop)
        if image is not None:
            degraded = degradation.apply(image[np.newaxis, :, :, ::-1], points, np.array([number]))[0]
            image = np.rint(degraded).astype(np.uint8)
        write_image(out, image)
    return list(map(str, outs))


def write_image(out: Path, image: np.ndarray | None) -> None:
    """Writes RGB pixels as a PNG file; an empty file where there are none."""
    content = b"" if image is None else cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
    part = out.with_suffix(".part")
    part.write_bytes(content)
    part.rename(out)


def embed(model: Embedder, paths: Sequence[str], out: Path) -> tuple[Faces, list[int]]:
    """The faces of aligned crops, and which of the crops they are of."""
    if not out.exists():
        found = list(embed_faces(model, paths, CropSettings(size=model.aligned_size)))
        rows = [row for row, one in enumerate(found) if not one.refused]
        arrays = zip(*(found[row].faces for row in rows), strict=True)
        embedding, variance = (np.concatenate(part) for part in arrays)
        np.savez(out, embedding=embedding, variance=variance, rows=rows)
        print(out, flush=True)
    with np.load(out, allow_pickle=False) as file:
        return Faces(file["embedding"], file["variance"]), file["rows"].tolist()


def answer_all(
    folder: Path, enrolled: str, score: str, faces: dict[str, tuple[Faces, list[int]]], split: Split
) -> None:
    """Searches faces in one gallery, and calibrates it with those of the strangers."""
    with Gallery(folder / f"{enrolled}.gallery") as gallery:
        for what, (every, rows) in faces.items():
            photographs = split.unknown if what == "unknown" else split.probes
            out = folder / f"{enrolled}-{score}-{what}.json"
            if out.exists():
                continue
            answers = [{"path": path, "faces": []} for path in photographs]
            for start in range(0, len(rows), _AT_ONCE):
                some = every.take(slice(start, start + _AT_ONCE))
                for row, found in zip(rows[start:], gallery.search(some, score=score), strict=False):
                    candidates = [{"person": each.person, "score": each.score} for each in found.candidates]
                    answers[row]["faces"] = [{"candidates": candidates}]
            out.write_text(json.dumps(answers), encoding="utf-8")
            if what == "unknown":
                people = [Path(split.unknown[row]).parent.name for row in rows]
                refused = len(split.unknown) - len(rows)
                made = gallery.calibrate(
                    every, people, fpir=FPIR, score=score, align="mtcnn", refused=refused, thin=True
                )
                calibrated = folder / f"{enrolled}-{score}-calibrated.json"
                calibrated.write_text(json.dumps(made), encoding="utf-8")
            print(out, flush=True)


if __name__ == "__main__":
    sys.exit(main())
