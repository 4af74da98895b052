"""`urfr evaluate`: a model on a protocol -> metrics.json, scores.npz and a table."""

import argparse
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

HELP = "measure a model on a verification or identification protocol"
PROTOCOLS = [
    "pairs",
    "lfw",
    "cfp",
    "bin",
    "ijba",
    "ijbb",
    "ijbc",
    "ijbs",
    "tinyface",
    "megaface",
    "synthetic",
]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--model",
        required=True,
        nargs="+",
        metavar="MODEL",
        help="run folder, SavedModel folder or .tflite file; several, NAME=MODEL each, give a row each",
    )
    parser.add_argument("--protocol", required=True, choices=PROTOCOLS)
    parser.add_argument(
        "--data", required=True, metavar="P", help="the set in its published layout, or shards"
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
        type=_rate,
        default=[],
        metavar="F",
        help="report TAR at these FARs and store the threshold of the smallest (default: 1e-1 ... 1e-6 as supported)",
    )
    parser.add_argument(
        "--thin-far", action="store_true", help="give FARs with under 10 impostors too, marked"
    )
    parser.add_argument("--impostors", default="listed", choices=["listed", "all"])
    parser.add_argument(
        "--align",
        choices=["mtcnn", "points", "none"],
        help="mtcnn: find the face; points: the set's own five; none: centred square (default: as the model's)",
    )
    parser.add_argument("--on-missing", default="skip", choices=["skip", "centre"], help="no face found")
    parser.add_argument(
        "--faces",
        choices=["largest", "central"],
        help="which of several faces (default: central for lfw, largest for others)",
    )
    parser.add_argument("--min-face", type=int, default=40, help="smallest face looked for in pixels (40)")
    parser.add_argument(
        "--degrade",
        nargs="+",
        default=[],
        metavar="VARIATION[:strength]",
        help="blur, occlusion, pose, resolution, gamma, jpeg, noise or thumbnail on the probes; without a strength, a curve",
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
        help="of the score weighted: the confidences, or for a run folder the length of its embedding (confidence)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of generated pairs and degradations (0)")
    parser.add_argument(
        "--per-person",
        type=int,
        default=50,
        metavar="N",
        help="genuine pairs of a person at most, where pairs are generated; 0: all (50)",
    )
    parser.add_argument(
        "--cache", metavar="DIR", help="where embeddings are kept (default: OUT's .embeddings)"
    )
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print metrics.json instead of a table")


def run(args: argparse.Namespace) -> int:
    """Evaluates; raises UrfrError with a sentence."""
    from urfr_tf.data.preparation.crops import usual_face
    from urfr_tf.data.progress import Progress
    from urfr_tf.errors import UrfrError
    from urfr_tf.evaluate import Evaluation, Settings, check, evaluate, store_threshold
    from urfr_tf.evaluation.request import EvaluationRequest
    from urfr_tf.protocols.table import open_protocol
    from urfr_tf.runs.load_model import load_model
    from urfr_tf.system.quiet import quiet_compiler

    if args.per_person < 0:
        raise UrfrError(f"expected --per-person of 0 or more, but got {args.per_person}")
    models = [_named(text) for text in args.model]
    scores = args.score * len(models) if len(args.score) == 1 else args.score
    if len(scores) != len(models):
        raise UrfrError(f"expected one score, or one for each of {len(models)} models, but got {len(scores)}")
    own = {"sharpness": args.sharpness, "weight": args.weight}
    own = {name: value for name, value in own.items() if value is not None}
    if own and "weighted" not in scores:
        raise UrfrError(
            f"expected --{next(iter(own))} with --score weighted, but got the score {', '.join(scores)}"
        )
    requests = [
        EvaluationRequest(score, tuple(args.far), args.thin_far, args.impostors, fusion=args.fusion, **own)
        for score in scores
    ]
    conditions, curve = _conditions(args)
    faces = args.faces or usual_face(args.protocol)
    protocol = open_protocol(args.protocol, args.data, args.pairs, args.seed, args.per_person)
    for request in requests:
        check(protocol, request)
    out = Path(args.out)
    quiet_compiler()
    # All at once, so that the last is refused before hours are spent on the first; one of two scores is loaded once.
    loaded = {path: load_model(path, bulk=True) for path in dict.fromkeys(path for _, path in models)}
    for (_, path), request in zip(models, requests, strict=True):
        kind = loaded[path].kind
        if request.score == "weighted" and request.weight == "norm" and kind != "run":
            raise UrfrError(
                f"expected a run folder for --weight norm, but {path} is a {kind}, which gives no norm"
            )
    done = []
    for (name, path), request in zip(models, requests, strict=True):
        model = loaded[path]
        align = args.align or model.alignment
        settings = Settings(
            align, model.aligned_size, args.on_missing, args.min_face, conditions, curve, faces
        )
        progress = Progress(protocol.images.count * (1 + len(conditions)))
        cache = args.cache or out / ".embeddings"
        result = evaluate(model, protocol, request, settings, cache, progress.add)
        progress.close()
        about: dict[str, Any] = {
            "align": "none" if protocol.images.aligned else align,
            "impostors": args.impostors,
            "degrade": [str(condition) for condition in conditions],
            "fingerprint": model.fingerprint,
            **(
                {"weight": request.weight, "sharpness": request.sharpness}
                if request.score == "weighted"
                else {}
            ),
            "command": shlex.join(["urfr", *sys.argv[1:]]),
        }
        evaluation = Evaluation(args.protocol, str(path), request.score, result, about)
        folder = out if len(models) == 1 else out / _file_name(f"{name}-{request.score}")
        evaluation.write(folder)
        stored = store_threshold(evaluation, protocol, model, folder) if args.far else []
        done.append((name, evaluation, stored))
    if args.json:
        contents = [evaluation.content() for _, evaluation, _ in done]
        print(json.dumps(contents[0] if len(contents) == 1 else contents, allow_nan=False))
    else:
        _print(done, out)
    return 0


def _conditions(args: argparse.Namespace) -> tuple[tuple[Any, ...], bool]:
    """The degradations, and whether they make a curve."""
    from urfr_tf.evaluation.degradations import STRENGTHS, degradations

    words = args.degrade or (list(STRENGTHS) if args.protocol == "synthetic" else [])
    found = tuple(one for word in words for one in degradations(word, args.seed))
    return found, len(found) > 1 or args.protocol == "synthetic"


def _named(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, path
    return Path(text).name or text, text


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-").lower() or "model"


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a rate above 0 and up to 1, but got {text}")
    return value


def _print(done: list[tuple[str, Any, list[Path]]], out: Path) -> None:
    """A row for each figure and a column for each model; how it was obtained below."""
    names = list(dict.fromkeys(name for _, evaluation, _ in done for name in evaluation.result.metrics))
    names = [name for name in names if "_stderr" not in name]
    first = max(map(len, [*names, "protocol"]))
    columns = [f"{name}, {evaluation.score}" for name, evaluation, _ in done]
    widths = [max(len(column), 22) for column in columns]
    print(f"{'':{first}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(columns, widths, strict=True)))
    for name in names:
        cells = [_cell(evaluation.result, name) for _, evaluation, _ in done]
        print(f"{name:{first}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)))
    for name, evaluation, stored in done:
        counts = {key: value for key, value in evaluation.result.counts.items() if value not in ({}, None)}
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in counts.items()))
        for figure, why in evaluation.result.refused.items():
            print(f"  no {figure}: {why}")
        point = evaluation.threshold()
        if stored and point is not None:
            reached = "unknown" if point["far_reached"] is None else f"{point['far_reached']:.2g}"
            print(
                f"  threshold {point['threshold']:.6g} for FAR {point['far']:g}; on held-out people it reaches {reached}; "
                f"in {', '.join(map(str, stored))}"
            )
    print(out)


def _cell(result: Any, name: str) -> str:
    if name not in result.metrics:
        return "-"
    metrics = result.metrics
    text = f"{metrics[name]:.4f}"
    spread = name.replace("accuracy", "accuracy_stderr") if "accuracy" in name else f"{name}_stderr"
    if spread in metrics:
        text += f" +- {metrics[spread]:.4f}"
    if name in result.intervals:
        low, high = result.intervals[name]
        text += f" [{low:.4f}, {high:.4f}]"
    return text + (" thin" if name in result.thin else "")
