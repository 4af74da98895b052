"""A pytest plugin: counts skipped tests by their reason, and fails where there are more than skips.tsv lists.

With pytest-xdist, a module that is skipped as a whole is reported by nobody: the workers tell of it here.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

TABLE = Path(__file__).resolve().parents[1] / "skips.tsv"


class AllowedSkip(NamedTuple):
    """A line of skips.tsv.

    most: how many tests, or modules as a whole, may be skipped for the reason.
    pattern: a regular expression that the reason begins with.
    runs: where these tests run, or why they cannot.
    """

    most: int
    pattern: str
    runs: str


def read_table(text):
    """The lines of skips.tsv; one that begins with # is a comment."""
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return [AllowedSkip(int(most), pattern, runs) for most, pattern, runs in lines]


def judge(reasons, table):
    """Reasons of skipped tests by node -> lines for people, and what is more than the table allows."""
    lines, excess = [], []
    waiting = dict(reasons)
    for allowed in table:
        nodes = [node for node, reason in waiting.items() if re.match(allowed.pattern, reason)]
        for node in nodes:
            del waiting[node]
        if nodes:
            lines.append(f"{len(nodes):3} of at most {allowed.most}: {allowed.pattern} ({allowed.runs})")
        if len(nodes) > allowed.most:
            excess.append(f"{len(nodes)} skipped, {allowed.most} allowed: {allowed.pattern}")
    excess += [f"not in {TABLE.name}: {node}: {reason}" for node, reason in waiting.items()]
    return lines, excess


def pytest_addoption(parser):
    parser.addoption(
        "--count-skips", action="store_true", help="fail where skips.tsv allows fewer skipped tests"
    )
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped")


def pytest_configure(config):
    config.pluginmanager.register(SkipCounter(config), "skip-counter")


class SkipCounter:
    """The skipped tests of one session, and of the workers below it."""

    def __init__(self, config):
        self.config = config
        self.reasons = {}
        self.lines, self.excess = [], []

    def _note(self, report):
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")

    def pytest_collectreport(self, report):
        self._note(report)

    def pytest_runtest_logreport(self, report):
        self._note(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node, error):
        self.reasons.update(getattr(node, "workeroutput", {}).get("skip_reasons", {}))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["skip_reasons"] = self.reasons
            return
        table = [] if self.config.getoption("no_skips") else read_table(TABLE.read_text(encoding="utf-8"))
        self.lines, self.excess = judge(self.reasons, table)
        asked = self.config.getoption("no_skips") or self.config.getoption("count_skips")
        if asked and self.excess and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        asked = self.config.getoption("no_skips") or self.config.getoption("count_skips")
        if not asked:
            return
        terminalreporter.section(f"{len(self.reasons)} skipped")
        for line in self.lines:
            terminalreporter.line(line)
        for line in self.excess:
            terminalreporter.line(f"FAILED: {line}", red=True)
