"""`urfr report`: one self-contained HTML file about runs or evaluations, side by side."""

import argparse
from pathlib import Path

HELP = "write one self-contained HTML file: tables, pictures, and how to get each number again"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `urfr report`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--run", nargs="+", metavar="RUN", help="folders of runs, side by side")
    which.add_argument("--eval", nargs="+", metavar="DIR", help="folders with a metrics.json, side by side")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where to write (default: report.html in the only folder, comparison.html here for several)",
    )
    parser.add_argument("--title", metavar="TITLE", help="the page's heading")
    parser.add_argument(
        "--data",
        metavar="SHARDS",
        help="draw what the runs' models know about these images too: confidences, uncertainties, t-SNE",
    )
    parser.add_argument(
        "--images", type=int, default=256, metavar="N", help="images of --data to draw from (default: 256)"
    )
    parser.add_argument(
        "--projector",
        metavar="DIR",
        help="with --data and one run: write its embeddings and faces for TensorBoard's projector",
    )
    parser.add_argument(
        "--tensorboard", metavar="DIR", help="write every picture as an event for TensorBoard's Images too"
    )
    parser.add_argument("--png", metavar="DIR", help="write every picture as a PNG file too")


def run(args: argparse.Namespace) -> int:
    """Writes the report and prints its path.

    Raises:
        UrfrError: a folder is missing or holds nothing that can be shown; --data without a run that has a
            model; the file cannot be written.
    """
    from urfr_tf.errors import UrfrError
    from urfr_tf.system.terminal import join_command
    from urfr_tf.visualize.provenance import describe_provenance
    from urfr_tf.visualize.report import write_report
    from urfr_tf.visualize.result_tables import make_result_tables
    from urfr_tf.visualize.run_tables import make_run_tables
    from urfr_tf.visualize.source_pictures import draw_sources, write_pngs
    from urfr_tf.visualize.sources import read_sources

    if args.data and not args.run:
        raise UrfrError("--data needs --run: an evaluation holds no model to look at the images with")
    if args.projector and not (args.data and len(args.run) == 1):
        raise UrfrError("--projector needs --data and one --run: it shows how one model sees these images")
    if args.images < 2:
        raise UrfrError(f"expected at least 2 images to draw from, got --images {args.images}")
    folders = list(dict.fromkeys(args.run or args.eval))
    sources = read_sources(folders, run=bool(args.run))
    out = Path(args.out or (sources[0].folder / "report.html" if len(sources) == 1 else "comparison.html"))
    title = args.title or "Report: " + ", ".join(source.name for source in sources)
    again = ["urfr", "report", "--run" if args.run else "--eval", *folders, "--out", str(out)]
    drawn = []
    if args.data:
        from urfr_tf.runs.load_model import load_model
        from urfr_tf.visualize.model_pictures import draw_model_pictures, write_people_projector

        models = {source.name: load_model(str(source.folder)) for source in sources}
        shown = draw_model_pictures(models, args.data, args.images)
        if args.projector:
            write_people_projector(args.projector, models[sources[0].name], args.data)
        drawn = shown.pictures
        sources[0].missing += shown.missing
        again += ["--data", args.data, "--images", str(args.images)]
    drawn = draw_sources(sources) + drawn
    tables = make_result_tables(sources) + make_run_tables(sources)
    write_report(out, title, tables, drawn, describe_provenance(sources, join_command(again)))
    if args.png:
        write_pngs(args.png, drawn)
    if args.tensorboard:
        from urfr_tf.training.tensorboard import write_pictures

        write_pictures(args.tensorboard, drawn)
    print(out)
    return 0
