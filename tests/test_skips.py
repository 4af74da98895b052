"""Every skipped test is listed with where it runs, and the plugin that counts them counts right."""

import re

import pytest
from paths import ROOT
from skips import TABLE, AllowedSkip, judge, read_table

ALLOWED = read_table(TABLE.read_text(encoding="utf-8"))
# A reason in the source of a test: of importorskip, skip and skipif.
REASON = re.compile(r"""(?:reason=|pytest\.skip\(\s*)(?:f?"((?:[^"\\]|\\.)*)"|f?\'([^\']*)\')""")


def listed(reason):
    return any(re.match(allowed.pattern, reason) for allowed in ALLOWED)


def test_every_reason_is_listed():
    problems = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name in ("test_skips.py", "skips.py"):
            continue
        for match in REASON.finditer(source):
            if "skip" in source[max(0, match.start() - 200) : match.end()]:
                reason = re.sub(r"\{[^}]*\}", "lfw.tar", match[1] or match[2])
                if not listed(reason):
                    problems.append(f"{path.name}: {reason} is not in {TABLE.name}")
        if re.search(r"importorskip\(\s*\"[a-zA-Z_0-9.]+\"\s*\)", source):
            problems.append(f"{path.name}: importorskip without a reason")
    assert not problems


def test_more_than_the_table_allows_is_named():
    table = [AllowedSkip(1, "needs A", "there"), AllowedSkip(0, "needs B", "never")]
    reasons = {"a": "needs A: 1", "b": "needs A: 2", "c": "needs C"}
    lines, excess = judge(reasons, table)
    assert lines == ["  2 of at most 1: needs A (there)"]
    assert excess == ["2 skipped, 1 allowed: needs A", "not in skips.tsv: c: needs C"]
    assert judge({"a": "needs A"}, table)[1] == []


TESTS = """
import pytest

def test_one():
    pytest.skip("needs A")

@pytest.mark.skipif(True, reason="needs B")
def test_two():
    pass

def test_three():
    pass
"""


def test_the_plugin_sees_tests_and_modules(pytester_like):
    """A module that is skipped as a whole counts, too: so Apache Beam's tests went unnoticed."""
    assert pytester_like("--no-skips") == (1, {"needs A", "needs B", "no such module"})
    assert pytester_like() == (0, set())


@pytest.fixture
def pytester_like(tmp_path):
    """Runs the plugin over a small folder in this process; exit code and the reasons that it names."""
    (tmp_path / "test_a.py").write_text(TESTS)
    (tmp_path / "test_b.py").write_text(
        "import pytest\npytest.importorskip('nowhere', reason='no such module')\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(*words):
        class Watch:
            excess = ()

            def pytest_unconfigure(self, config):
                self.excess = config.pluginmanager.getplugin("skip-counter").excess

        watch = Watch()
        words = [str(tmp_path), "-q", "-p", "skips", "-p", "no:cacheprovider", "-p", "no:xdist", *words]
        code = pytest.main([*words, "--import-mode=importlib", f"--rootdir={tmp_path}"], plugins=[watch])
        named = {line.rpartition(": ")[2] for line in watch.excess} if words[-1] == "--no-skips" else set()
        return int(code), named

    return run
