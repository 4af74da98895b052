"""`urfr report`: one self-contained HTML file about runs or evaluations, side by side."""

import argparse
import shlex
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
    parser.add_argument("--title", help="the page's heading")


def run(args: argparse.Namespace) -> int:
    """Writes the report and prints its path.

    Raises:
        UrfrError: a folder is missing or holds nothing that can be shown; the file cannot be written.
    """
    from urfr_tf.visualize import compose
    from urfr_tf.visualize.pictures import pictures
    from urfr_tf.visualize.report import write_report
    from urfr_tf.visualize.sources import read_source

    folders = args.run or args.eval
    sources = [read_source(folder, run=bool(args.run)) for folder in dict.fromkeys(folders)]
    out = Path(args.out or (sources[0].folder / "report.html" if len(sources) == 1 else "comparison.html"))
    title = args.title or "Report: " + ", ".join(source.name for source in sources)
    again = shlex.join(["urfr", "report", "--run" if args.run else "--eval", *folders, "--out", str(out)])
    write_report(out, title, compose.tables(sources), pictures(sources), compose.notes(sources, again))
    print(out)
    return 0
