"""`experiments` is not installed: it is found from the repository's root."""

import json
import sys

import pytest
from paths import ROOT

from urfr_tf.cli import build_parser

sys.path.insert(0, str(ROOT))


@pytest.fixture
def parses():
    """A check of a plan: each need comes before, each command and each of the tests in a folder parses."""

    def check(jobs, folder):
        seen = set()
        for job in jobs:
            assert job.name not in seen
            assert set(job.needs) <= seen, job.name
            seen.add(job.name)
            if job.words[:2] == ("-m", "urfr_tf.cli"):
                build_parser().parse_args(job.words[2:])
        for words in json.loads(next((folder / "tests").iterdir()).read_text()).values():
            build_parser().parse_args(["evaluate", "--model", "M", "--out", "O", *words])

    return check
