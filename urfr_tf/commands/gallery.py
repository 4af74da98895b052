"""`urfr gallery`: a list of known people, and who of them is on a photograph."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from urfr_tf.data.detector_options import FACES, add_detector_options, parse_count, read_crop_settings
from urfr_tf.runs.default_network import add_model_option

if TYPE_CHECKING:
    from urfr_tf.data.cropper import CropSettings
    from urfr_tf.gallery import Gallery
    from urfr_tf.runs.embedder import Embedder

HELP = "enroll people, find them on photographs, forget them"
_SCORES = ("likelihood", "cosine", "weighted")
_SHOWN = 20  # refused photographs that are named


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = _add_action(actions, "create", "make an empty gallery for the embeddings of one model")
    add_model_option(create)
    add = _add_action(actions, "add", "add photographs of people")
    add.add_argument(
        "--images",
        required=True,
        metavar="DIR|LIST",
        help="a folder with a folder for each person, or a CSV list of path,identity and, where they are "
        "known, five points; with --person a folder or list of photographs of this person",
    )
    add.add_argument("--person", metavar="NAME", help="whose photographs they all are")
    _add_crop_options(add, points=True)
    add.add_argument(
        "--keep-thumbnails",
        action="store_true",
        help="store the faces as small pictures, too (not done else)",
    )
    search = _add_action(actions, "search", "search every face of photographs")
    search.add_argument("photographs", nargs="+", metavar="PHOTO", help="photograph")
    search.add_argument("--top", type=parse_count, default=5, metavar="N", help="candidates of a face (5)")
    _add_score_option(search)
    _add_crop_options(search, every=True)
    search.add_argument(
        "--html", metavar="FILE", help="write a page with the photographs and candidates, too"
    )
    calibrate = _add_action(actions, "calibrate", "find the threshold that few strangers reach")
    calibrate.add_argument(
        "--unknown",
        required=True,
        metavar="DIR",
        help="photographs of people who are not in the gallery, a folder for each; or of one person each",
    )
    calibrate.add_argument(
        "--fpir",
        type=float,
        default=1e-2,
        metavar="RATE",
        help="share of strangers' faces that may be taken for somebody (0.01)",
    )
    calibrate.add_argument(
        "--thin-far", action="store_true", help="calibrate on too few people, too, marked as thin"
    )
    _add_score_option(calibrate)
    _add_crop_options(calibrate)
    show = _add_action(actions, "list", "list the people, and what the gallery says about itself")
    remove = _add_action(actions, "remove", "forget people, or single images of one")
    remove.add_argument("people", nargs="+", metavar="NAME", help="name of a person")
    remove.add_argument(
        "--image", nargs="+", default=[], metavar="SHA256", help="only these images; export lists them"
    )
    export = _add_action(actions, "export", "write everything that is stored of a person")
    export.add_argument("person", metavar="NAME", help="name of the person")
    export.add_argument("--out", required=True, metavar="DIR", help="folder to write into")
    check = _add_action(actions, "check", "check everything that is stored, and finish a removal")
    copy = _add_action(
        actions, "copy", "copy everything into a new gallery, from a file to PostgreSQL or back"
    )
    copy.add_argument("target", metavar="TARGET", help="path or postgresql:// address of the new gallery")
    for each in (create, add, search, calibrate, show, remove, export, check, copy):
        each.add_argument("--json", action="store_true", help="print one JSON object")


def _add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=text, description=text)
    action.add_argument("gallery", metavar="GALLERY", help="path, or postgresql://USER@HOST/DATABASE")
    return action


def _add_score_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--score", choices=_SCORES, default=_SCORES[0], help="what is compared (likelihood)")


def _add_crop_options(parser: argparse.ArgumentParser, *, points: bool = False, every: bool = False) -> None:
    parser.add_argument("--model", metavar="MODEL", help="where the gallery's model is now, if it has moved")
    parser.add_argument(
        "--align",
        choices=["mtcnn", *(["points"] if points else []), "none"],
        help="mtcnn: find and align the face; "
        + ("points: align to the points of the list; " if points else "")
        + "none: take the centered square (default: as the gallery's photographs were aligned, or as the "
        "model expects)",
    )
    if every:
        add_detector_options(parser, faces=("all", *FACES), faces_default="all")
    else:
        add_detector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Does what was asked for; raises UrfrError with a sentence."""
    from urfr_tf.gallery import Gallery

    if args.action == "create":
        return _create(args)
    actions = {
        "add": _add,
        "search": _search,
        "calibrate": _calibrate,
        "list": _list,
        "remove": _remove,
        "export": _export,
        "check": _check,
        "copy": _copy,
    }
    with Gallery(args.gallery) as gallery:
        return actions[args.action](args, gallery)


def _create(args: argparse.Namespace) -> int:
    from urfr_tf.gallery import Gallery
    from urfr_tf.runs.load_model import load_model

    model = load_model(args.model)
    with Gallery.create(args.gallery, model, args.model) as gallery:
        result = {"gallery": gallery.where, **gallery.facts}
        _say(args, result, f"{gallery.where}: an empty gallery for {model.kind} {gallery.facts['model']}")
    return 0


def _load(args: argparse.Namespace, gallery: "Gallery", bulk: bool) -> "Embedder":
    """The model of the gallery, by --model or by the path that the gallery remembers."""
    from pathlib import Path

    from urfr_tf.errors import UrfrError
    from urfr_tf.runs.default_network import DEFAULT
    from urfr_tf.runs.load_model import load_model

    path = args.model or gallery.facts["model"]
    if args.model is None and path != DEFAULT and not Path(path).exists():
        raise UrfrError(
            f"the gallery {gallery.where} was made with the model {path}, which is not there any more; "
            "--model names the place where it is now"
        )
    model = load_model(path, bulk=bulk)
    gallery.check_model(model)
    return model


def _settings(args: argparse.Namespace, gallery: "Gallery", model: "Embedder", faces: str) -> "CropSettings":
    return read_crop_settings(args, model.aligned_size, args.align or gallery.alignment(model), faces)


def _add(args: argparse.Namespace, gallery: "Gallery") -> int:
    from urfr_tf.data.progress import Progress
    from urfr_tf.errors import UrfrError
    from urfr_tf.gallery.photographs import enroll, list_people

    model = _load(args, gallery, bulk=True)
    settings = _settings(args, gallery, model, "largest")
    items, ignored = list_people(args.images, args.person)
    progress = Progress(len(items))
    try:
        result = enroll(
            gallery,
            model,
            items,
            settings,
            keep_thumbnails=args.keep_thumbnails,
            on_progress=progress.add,
        )
    finally:
        progress.close()
    size = gallery.size()
    kinds = "".join(f", {count} {kind}" for kind, count in sorted(result.kinds().items()))
    if not result.added and not result.known:
        first = "; ".join(f"{path}: {reason}" for path, reason in result.refused[:3])
        raise UrfrError(f"none of the {result.images} images of {args.images} could be added ({first})")
    for path, reason in result.refused[:_SHOWN]:
        print(f"refused {path}: {reason}", file=sys.stderr)
    if len(result.refused) > _SHOWN:
        print(f"and {len(result.refused) - _SHOWN} more; --json lists all", file=sys.stderr)
    answer = {
        "gallery": gallery.where,
        "align": settings.align,
        "images": result.images,
        "added": result.added,
        "known": result.known,
        "refused": dict(result.refused),
        "notes": [list(note) for note in result.notes],
        "people": size.people,
    }
    text = (
        f"{gallery.where}: {result.added} of {result.images} images added (align {settings.align})"
        f"{f', {result.known} there already' if result.known else ''}{kinds}; now {size.images} images of "
        f"{size.people} people"
    )
    _say(args, answer, text, *([ignored] if ignored else []))
    return 0


def _search(args: argparse.Namespace, gallery: "Gallery") -> int:
    from urfr_tf.errors import UrfrError
    from urfr_tf.gallery.found import search_photographs

    model = _load(args, gallery, bulk=False)
    settings = _settings(args, gallery, model, "all")
    if not gallery.size().people:
        raise UrfrError(f"nobody is in the gallery {gallery.where}; urfr gallery add adds people")
    found = search_photographs(gallery, model, args.photographs, settings, top=args.top, score=args.score)
    if args.html:
        from urfr_tf.visualize.gallery_page import write_gallery_page

        write_gallery_page(args.html, found, settings)
    _say(args, found.to_json(), *found.lines(), *([f"page: {args.html}"] if args.html else []))
    if all(photograph.refused for photograph in found.photographs):
        raise UrfrError("none of the photographs has a face that could be searched")
    return 0


def _calibrate(args: argparse.Namespace, gallery: "Gallery") -> int:
    from urfr_tf.data.progress import Progress
    from urfr_tf.gallery.photographs import embed_unknown

    model = _load(args, gallery, bulk=True)
    settings = _settings(args, gallery, model, "largest")
    progress: Progress | None = None

    def show(total: int, done: int) -> None:
        nonlocal progress
        progress = progress or Progress(total)
        progress.add(1)

    try:
        unknown = embed_unknown(gallery, model, args.unknown, settings, show)
    finally:
        if progress is not None:
            progress.close()
    made = gallery.calibrate(
        unknown.faces,
        unknown.people,
        fpir=args.fpir,
        score=args.score,
        align=settings.align,
        refused=unknown.refused,
        thin=args.thin_far,
    )
    thin = " (thin: too few for a reliable one)" if made["thin"] else ""
    _say(
        args,
        dict(made),
        f"{made['score']} threshold {made['threshold']:.4f} (95 % interval {made['threshold_low']:.4f} to "
        f"{made['threshold_high']:.4f}){thin}",
        f"{made['fpir_reached']:.2%} of {made['unknown_faces']} faces of {made['unknown_people']} strangers "
        f"reach it (95 % interval {made['fpir_low']:.2%} to {made['fpir_high']:.2%})",
        f"it holds for the gallery as it is, with {made['people']} people",
    )
    return 0


def _list(args: argparse.Namespace, gallery: "Gallery") -> int:
    people, size = list(gallery.people()), gallery.size()
    calibrations = [made for score in _SCORES if (made := gallery.calibration(score)) is not None]
    answer = {
        "gallery": gallery.where,
        **gallery.facts,
        "people": {person.name: person.images for person in people},
        "images": size.images,
        "calibrations": calibrations,
    }
    lines = [f"{person.images:6}  {person.name}" for person in people]
    lines.append(f"{size.images} images of {size.people} people; model {gallery.facts['model']}")
    for made in calibrations:
        lines.append(
            f"{made['score']} threshold {made['threshold']:.4f} for FPIR {made['fpir']:g}, calibrated with "
            f"{made['people']} people"
        )
        lines += [f"warning: {warning}" for warning in gallery.warnings(made["score"])]
    _say(args, answer, *lines)
    return 0


def _remove(args: argparse.Namespace, gallery: "Gallery") -> int:
    from urfr_tf.errors import UrfrError

    try:
        hashes = [bytes.fromhex(text) for text in args.image]
    except ValueError as error:
        raise UrfrError(
            f"expected SHA-256 in hexadecimal digits for --image, but got {args.image}"
        ) from error
    removed, size = gallery.remove(args.people, hashes), gallery.size()
    _say(
        args,
        {"gallery": gallery.where, "removed": removed, "images": size.images, "people": size.people},
        f"{gallery.where}: {removed} images of {', '.join(args.people)} removed and overwritten; "
        f"{size.people} people are left",
    )
    return 0


def _export(args: argparse.Namespace, gallery: "Gallery") -> int:
    from urfr_tf.gallery.export import export_person

    images = export_person(gallery, args.person, args.out)
    answer = {"gallery": gallery.where, "person": args.person, "images": images, "out": args.out}
    _say(args, answer, f"{args.out}: what is stored of {args.person}, {images} images")
    return 0


def _check(args: argparse.Namespace, gallery: "Gallery") -> int:
    faults, size = gallery.faults(), gallery.size()
    answer = {"gallery": gallery.where, "people": size.people, "images": size.images, "faults": faults}
    good = f"{gallery.where}: {size.images} images of {size.people} people, nothing is wrong"
    _say(args, answer, *(faults or [good]))
    return 1 if faults else 0


def _copy(args: argparse.Namespace, gallery: "Gallery") -> int:
    from urfr_tf.gallery.copying import copy_gallery

    images, where = copy_gallery(gallery, args.target)
    answer = {"gallery": gallery.where, "target": where, "images": images}
    _say(args, answer, f"{where}: {images} images copied from {gallery.where}")
    return 0


def _say(args: argparse.Namespace, answer: object, *lines: str) -> None:
    print(json.dumps(answer, allow_nan=False) if args.json else "\n".join(lines))
