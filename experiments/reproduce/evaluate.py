"""One run on every test, each with its metrics.json; what these weights and words gave already is kept.

    python -m experiments.reproduce.evaluate --run RUN --score cosine --tests TESTS.json --out EVALUATION

TESTS.json maps the name of a test to arguments of `urfr evaluate`. Of several scores each but the first has
its folder beside (`EVALUATION-likelihood`), and images are embedded once for all of them. A `--score` among a
test's arguments stands above these. With --tflite it is the run's float32 TFLite file that is tested (`urfr
export` compares the two): on a CPU it embeds twice as fast. The threshold of the figures by gender is chosen
on people who are neither trained on nor tested.
"""

import argparse
import itertools
import json
import shlex
import shutil
import sys
from pathlib import Path

from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    leave_out_keras_3()
    quiet_libraries()

from experiments.command import with_sentences
from experiments.reproduce.captions import measure_by_gender, measured, write_picture_arrays
from experiments.reproduce.plan import score_name
from urfr_tf.cli import main as urfr
from urfr_tf.export.export_run import PARITY
from urfr_tf.files import read_json
from urfr_tf.runs.fingerprints import fingerprint_run
from urfr_tf.runs.load_model import load_model

GENDER, PICTURES = "gender", "pictures"


def exported(run: Path) -> str:
    """The float32 TFLite file of a run, written to RUN/export where it is missing or of other weights.

    Raises:
        SystemExit: it could not be exported, which was said.
    """
    out = run / "export"
    path = out / "model.tflite"
    parity = read_json(out / PARITY) if (out / PARITY).is_file() else {}
    weights = parity.get(path.name, {}).get("weights_sha256")
    if not path.is_file() or weights != fingerprint_run(run):
        code = urfr(["export", "--run", str(run), "--out", str(out), "--format", "tflite"])
        if code:
            sys.exit(code)
    return str(path)


@with_sentences("evaluate")
def main() -> int:
    """Runs the tests that have no metrics yet; 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, type=Path)
    parser.add_argument("--tflite", action="store_true", help="test the run's TFLite file")
    parser.add_argument("--score", required=True, nargs="+")
    parser.add_argument("--tests", required=True, type=Path)
    parser.add_argument("--run-tests", type=Path, help="tests of the run folder, for what no export gives")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--train", help="shards trained on, for what the pictures show")
    parser.add_argument("--validation", help="shards of the people that the threshold by gender is chosen on")
    parser.add_argument("--people", help="shards of the tested people, for the figures by gender")
    parser.add_argument("--gender", help="table of their genders")
    args = parser.parse_args()
    tested = exported(args.run) if args.tflite else str(args.run)
    failed = []
    cache = args.out / ".embeddings"  # some tests and scores are of the same images
    listed = [(args.tests, tested, load_model(tested).fingerprint)]
    listed += [(args.run_tests, str(args.run), fingerprint_run(args.run))] if args.run_tests else []
    for path, subject, fingerprint in listed:
        tests = json.loads(path.read_text(encoding="utf-8"))
        for (name, words), score in itertools.product(tests.items(), args.score):
            out = args.out.with_name(score_name(args.out.name, score, args.score)) / name
            command = ["evaluate", "--model", subject, "--score", score, *words, "--out", str(out)]
            if not measured(out, fingerprint, shlex.join(["urfr", *command])):
                sys.argv = ["urfr", *command]  # metrics.json tells the command that makes it
                print("$", *sys.argv, flush=True)
                if urfr([*command, "--cache", str(cache)]):
                    failed.append(f"{name} by {score}")
    shutil.rmtree(cache, ignore_errors=True)
    model = load_model(tested, bulk=True) if args.people or args.train else None
    if model and args.people and args.gender and args.validation:
        measure_by_gender(model, args.score[0], args.validation, args.people, args.gender, args.out / GENDER)
    if model and args.train:
        write_picture_arrays(model, args.train, args.out / PICTURES)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
