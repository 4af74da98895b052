"""The documentation: its links and paths lead somewhere, and its generated pages are of this code."""

import importlib
import re
import runpy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from paths import ROOT

DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^()\s]+)\)")
PATH = re.compile(r"\bdocs/[\w/.-]*+(?!\{)")
FOLDERS = ("docs", "urfr_tf", "examples", "experiments", "configs", "export", "tests")


@cache
def texts():
    """Path -> text of every file of the repository that a reader may open."""
    paths = [*ROOT.iterdir(), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    kinds = (".md", ".py", ".yaml", ".yml", ".sh", ".toml", ".html")
    known = [path for path in paths if path.suffix in kinds or path.name in ("Makefile", "Dockerfile")]
    return {path: path.read_text(encoding="utf-8") for path in known if path.is_file()}


def anchors(text):
    """The fragments that headings of a page have, as MkDocs and GitHub make them of plain words."""
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    headings = re.findall(r"(?m)^#+ (.+)$", prose)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(path, text):
    for link in LINK.findall(re.sub(r"(?ms)^```.*?^```", "", text)):
        target, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        page = (path.parent / target).resolve() if target else path
        if not page.exists() or (fragment and fragment not in anchors(page.read_text(encoding="utf-8"))):
            yield link


def test_every_link_leads_somewhere():
    dead = {
        str(path.relative_to(ROOT)): links
        for path, text in texts().items()
        if path.suffix == ".md" and (links := list(dead_links(path, text)))
    }
    assert not dead


def test_every_path_below_docs_that_is_named_exists():
    """In code, comments, messages and pages. The tests write pages to folders of their own."""
    dead = {
        str(path.relative_to(ROOT)): names
        for path, text in texts().items()
        if not path.is_relative_to(ROOT / "tests")
        and (names := {name for name in PATH.findall(text) if not (ROOT / name.rstrip(".")).exists()})
    }
    assert not dead


def test_a_link_to_a_page_or_a_heading_that_is_not_there_is_dead(tmp_path):
    (tmp_path / "there.md").write_text("# Two words, one comma\n")
    text = "[a](there.md#two-words-one-comma) [b](there.md#three) [c](missing.md) [d](https://example.org/x)"
    assert list(dead_links(tmp_path / "page.md", text)) == ["there.md#three", "missing.md"]


def test_every_page_is_reached_from_the_first():
    """Links alone lead from docs/index.md to every page, and to the notes that the results quote."""
    seen, todo = set(), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8")))
        todo += [(page.parent / link).resolve() for link in links if link and not re.match(r"[a-z]+:", link)]
    pages = {path for path in DOCS.rglob("*.md") if path.name != "seen.md"}
    assert not {str(path.relative_to(DOCS)) for path in pages - seen}


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(DOCS / "reference" / "generate.py"))


@pytest.mark.parametrize("name", ["configuration.md", "cli.md", "protocols.md"])
def test_a_generated_page_is_of_this_code(generator, name):
    committed = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert generator["PAGES"][name]() == committed, "run python docs/reference/generate.py"


def test_the_generator_knows_these_pages(generator):
    marked = [
        p.name
        for p in (DOCS / "reference").glob("*.md")
        if "Written by docs/reference/generate" in p.read_text()
    ]
    assert sorted(generator["PAGES"]) == sorted(marked)


def test_every_section_of_the_method_that_is_cited_is_there():
    """Docstrings cite "method, section 4": the reference has sections of these numbers."""
    method = (DOCS / "reference" / "method.md").read_text(encoding="utf-8")
    there = set(re.findall(r"(?m)^## (\d+)\. ", method))
    cited = set()
    for path, text in texts().items():
        if Path(path).is_relative_to(ROOT / "urfr_tf"):
            for numbers in re.findall(r"method,\s+sections? ([\d, and]+)", text):
                cited |= set(re.findall(r"\d+", numbers))
    assert cited and cited <= there


@pytest.mark.parametrize("room", ["layers", "losses", "metrics"])
def test_the_page_of_the_api_has_every_public_name(room):
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    shown = set(re.findall(rf"(?m)^::: urfr_tf\.{room}\.\w+\.(\w+)$", page))
    assert shown == set(importlib.import_module(f"urfr_tf.{room}").__all__)


def test_every_page_is_in_the_navigation_of_the_site():
    named = set(
        re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2])
    )
    assert named == {str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md") if p.name != "seen.md"}


def test_every_option_and_every_key_has_a_meaning(generator):
    for page in (generator["cli_page"](), generator["configuration_page"]()):
        assert not re.findall(r"(?m)^\| `[^|]*\|[^\n]*\|\s*\|$", page)


def test_the_site_makes_links_of_paths_and_keeps_figures_whole():
    change = runpy.run_path(str(DOCS / "site" / "hooks.py"))["on_page_markdown"]
    page = SimpleNamespace(file=SimpleNamespace(src_uri="results/small.md"))
    text = "See docs/lab/pose.md, `docs/lab/pose.md`.\n    docs/lab/pose.md\n| 1.0 ± 0.2 (3) -> 2 |"
    assert change(text, page).split("\n") == [
        "See [docs/lab/pose.md](../lab/pose.md), `docs/lab/pose.md`.",
        "    docs/lab/pose.md",
        "| 1.0\u00a0±\u00a00.2\u00a0(3) → 2 |",
    ]
