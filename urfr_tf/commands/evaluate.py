"""`urfr evaluate`: a model on a protocol -> metrics.json, scores.npz and a table."""

import argparse
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from urfr_tf.data.detector_options import add_detector_options, read_crop_settings
from urfr_tf.protocols.source import PER_PERSON
from urfr_tf.protocols.table import PROTOCOLS
from urfr_tf.runs.default_network import add_model_option
from urfr_tf.system.folder_lock import lock_folder

if TYPE_CHECKING:
    from urfr_tf.evaluation.degradations import Degradation
    from urfr_tf.evaluation.request import EvaluationRequest
    from urfr_tf.runs.embedder import Embedder

HELP = "measure a model on a verification or identification protocol"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "protocols, what --data holds, and what is reported:\n" + "\n".join(
        f"  {entry.name:10} {entry.layout.replace('`', '')}\n{'':13}{entry.figures.replace('`', '')}"
        for entry in PROTOCOLS.values()
    )
    add_model_option(parser, several=True)
    central = ", ".join(entry.name for entry in PROTOCOLS.values() if entry.faces == "central")
    parser.add_argument("--protocol", required=True, choices=list(PROTOCOLS), help="see below")
    parser.add_argument(
        "--data", required=True, metavar="DATA", help="the set in its published layout, or shards"
    )
    parser.add_argument("--pairs", metavar="FILE", help="pairs: LFW's layout, or path TAB path TAB 0|1")
    parser.add_argument(
        "--score",
        nargs="+",
        default=["cosine"],
        choices=["cosine", "likelihood", "weighted"],
        help="one for all models, or one for each; weighted: of templates, weighted means compared by cosine",
    )
    parser.add_argument(
        "--far",
        nargs="+",
        type=_parse_rate,
        default=[],
        metavar="F",
        help="report TAR at these FARs and store the threshold of the smallest "
        "(default: 1e-1 ... 1e-6 as supported)",
    )
    parser.add_argument(
        "--thin-far",
        action="store_true",
        help="report FARs with fewer than 10 false accepts too, marked as thin",
    )
    parser.add_argument(
        "--impostors",
        default="listed",
        choices=["listed", "all"],
        help="the impostor pairs of the set's list, or every pair of images of two people (listed)",
    )
    parser.add_argument(
        "--align",
        choices=["mtcnn", "points", "none"],
        help="mtcnn: find the face; points: take the five of the set; none: take the centered square "
        "(default: as the model's)",
    )
    parser.add_argument(
        "--on-missing",
        default="skip",
        choices=["skip", "centre"],
        help="what happens to an image without a face: counts as an error, or its center is taken (skip)",
    )
    add_detector_options(parser, faces_default=f"central for {central}, largest for others")
    parser.add_argument(
        "--degrade",
        nargs="+",
        default=[],
        metavar="VARIATION[:strength]",
        help="blur, occlusion, pose, resolution, gamma, jpeg, noise or thumbnail on the probes; "
        "without a strength, a curve",
    )
    parser.add_argument(
        "--fusion", default="minimum", choices=["minimum", "product"], help="variance of templates"
    )
    parser.add_argument(
        "--sharpness",
        type=float,
        metavar="P",
        help="of the score weighted: the power of --weight that an image counts with, 0 to 32 (6)",
    )
    parser.add_argument(
        "--weight",
        choices=["confidence", "norm"],
        help="of the score weighted: the confidences, or for a run folder the length of its embedding "
        "(confidence)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of generated pairs and degradations (0)")
    parser.add_argument(
        "--per-person",
        type=int,
        default=PER_PERSON,
        metavar="N",
        help=f"genuine pairs of a person at most, where pairs are generated; 0: all ({PER_PERSON})",
    )
    parser.add_argument(
        "--cache", metavar="DIR", help="where embeddings are stored (default: OUT's .embeddings)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for metrics.json and pictures")
    parser.add_argument("--json", action="store_true", help="print metrics.json instead of a table")


def run(args: argparse.Namespace) -> int:
    """Evaluates; raises UrfrError with a sentence."""
    with lock_folder(args.out, "another urfr evaluate"):
        return _evaluate(args)


def _evaluate(args: argparse.Namespace) -> int:
    from urfr_tf.data.cropper import describe_crops
    from urfr_tf.data.progress import Progress
    from urfr_tf.evaluate import EvaluationOutput, EvaluationSettings, evaluate, store_threshold
    from urfr_tf.evaluation.measurement import plan_measurement
    from urfr_tf.evaluation.summary import Column, summary_lines
    from urfr_tf.protocols.table import open_protocol
    from urfr_tf.system.quiet import quiet_compiler
    from urfr_tf.system.terminal import join_command
    from urfr_tf.visualize.evaluation_pictures import write_evaluation_pictures

    models = [_split_name(text) for text in args.model]
    requests = _read_requests(args, len(models))
    degradations, curve = _read_degradations(args)
    protocol = open_protocol(args.protocol, args.data, args.pairs, args.seed, args.per_person)
    for remark in protocol.images.remarks():
        print(remark, file=sys.stderr)
    measurements = [plan_measurement(protocol, request) for request in requests]
    out = Path(args.out)
    quiet_compiler()
    loaded = _load_models([path for _, path in models], requests)
    columns, contents = [], []
    for (name, path), request, measurement in zip(models, requests, measurements, strict=True):
        model = loaded[path]
        align = args.align or model.alignment
        crop = replace(
            read_crop_settings(args, model.aligned_size, align, PROTOCOLS[args.protocol].faces),
            on_missing=args.on_missing,
            min_side=1,
            lossless=True,
        )
        settings = EvaluationSettings(crop, degradations, curve)
        progress = Progress(protocol.images.count * (1 + len(degradations)))
        result = evaluate(model, measurement, settings, args.cache or out / ".embeddings", progress.add)
        progress.close()
        about: dict[str, object] = {
            **describe_crops(crop, protocol.images.aligned),
            "impostors": args.impostors,
            "degrade": [str(degradation) for degradation in degradations],
            "fingerprint": model.fingerprint,
            **(
                {"weight": request.weight, "sharpness": request.sharpness}
                if request.score == "weighted"
                else {}
            ),
            "command": join_command(["urfr", *sys.argv[1:]]),
        }
        output = EvaluationOutput(args.protocol, str(path), request.score, result, about)
        folder = out if len(models) == 1 else out / _file_name(f"{name}-{request.score}")
        contents.append(output.content())
        write_evaluation_pictures(contents[-1], folder)
        output.write(folder)
        of_model = measurement.of_photographs and not settings.degrades_all
        stored = store_threshold(output, model, folder, of_model) if args.far else []
        columns.append(Column(name, request.score, result, output.operating_point(), stored))
    if args.json:
        print(json.dumps(contents[0] if len(contents) == 1 else contents, allow_nan=False))
    else:
        print("\n".join([*summary_lines(columns), str(out)]))
    return 0


def _read_requests(args: argparse.Namespace, models: int) -> "list[EvaluationRequest]":
    """One request for each model."""
    from urfr_tf.errors import UrfrError
    from urfr_tf.evaluation.request import EvaluationRequest

    if args.per_person < 0:
        raise UrfrError(f"expected --per-person of 0 or more, but got {args.per_person}")
    scores = args.score * models if len(args.score) == 1 else args.score
    if len(scores) != models:
        raise UrfrError(f"expected one score, or one for each of {models} models, but got {len(scores)}")
    options = {"sharpness": args.sharpness, "weight": args.weight}
    options = {name: value for name, value in options.items() if value is not None}
    if options and "weighted" not in scores:
        raise UrfrError(
            f"expected --{next(iter(options))} with --score weighted, but got the score {', '.join(scores)}"
        )
    return [
        EvaluationRequest(
            score=score,
            fars=tuple(args.far),
            thin_far=args.thin_far,
            impostors=args.impostors,
            fusion=args.fusion,
            **options,
        )
        for score in scores
    ]


def _read_degradations(args: argparse.Namespace) -> "tuple[tuple[Degradation, ...], bool]":
    """The degradations, and whether they make a curve."""
    from urfr_tf.evaluation.degradations import STRENGTHS, read_degradations

    every = PROTOCOLS[args.protocol].every_degradation
    words = args.degrade or (list(STRENGTHS) if every else [])
    degradations = tuple(one for word in words for one in read_degradations(word, args.seed))
    return degradations, len(degradations) > 1 or every


def _load_models(paths: list[str], requests: "list[EvaluationRequest]") -> "dict[str, Embedder]":
    """Every model once, so that the last is refused before hours are spent on the first."""
    from urfr_tf.errors import UrfrError
    from urfr_tf.runs.load_model import load_model

    loaded = {path: load_model(path, bulk=True) for path in dict.fromkeys(paths)}
    for path, request in zip(paths, requests, strict=True):
        kind = loaded[path].kind
        if request.score == "weighted" and request.weight == "norm" and kind != "run":
            raise UrfrError(
                f"expected a run folder for --weight norm, but {path} is a {kind}, which gives no norm"
            )
    return loaded


def _split_name(text: str) -> tuple[str, str]:
    """NAME=MODEL or MODEL -> name and path."""
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, path
    return Path(text).name or text, text


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-").lower() or "model"


def _parse_rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a rate above 0 and up to 1, but got {text}")
    return value
