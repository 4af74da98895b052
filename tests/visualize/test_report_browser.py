"""The report in a real headless Chromium."""

import json

import numpy as np
import pytest
from browser import CHROMIUM, CONTRASTS, DRIVER, MISSING

from urfr_tf.visualize.confidence_figure import draw_confidences
from urfr_tf.visualize.provenance import describe_provenance
from urfr_tf.visualize.report import Picture, write_report
from urfr_tf.visualize.result_tables import make_result_tables
from urfr_tf.visualize.run_tables import make_run_tables
from urfr_tf.visualize.source_pictures import draw_sources
from urfr_tf.visualize.sources import read_source

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=MISSING)


@pytest.fixture(scope="module")
def page(tmp_path_factory, write_run):
    """The report of two runs with everything in it: tables, small pictures and a wide one."""
    tmp_path = tmp_path_factory.mktemp("page")
    runs = [write_run(tmp_path / "demo"), write_run(tmp_path / "demo-margin-12", margin=12, scores=False)]
    sources = [read_source(run, run=True) for run in runs]
    rng = np.random.default_rng(0)
    confidence = draw_confidences({name: rng.uniform(20, 40, (50, 16)) for name in ("clean", "blur")})
    wide = Picture("Confidences", "Sixteen histograms of confidences.", confidence, wide=True)
    out = tmp_path / "report.html"
    drawn = [wide, *draw_sources(sources)]
    tables = make_result_tables(sources) + make_run_tables(sources)
    write_report(out, "Demo & <more>", tables, drawn, describe_provenance(sources, "urfr report"))
    return out


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_as_a_reader_sees_it(page, open_browser, width):
    browser = open_browser(width, 900)
    browser.open(page)
    assert browser.run("return document.title") == "Demo & <more>"
    captions = browser.run(
        "return [...document.querySelectorAll('table > caption')].map(c => c.innerText.trim())"
    )
    assert captions == [
        "Results, protocol pairs",
        "What was counted, protocol pairs",
        "Settings that differ",
        "Training of demo, by epoch",
        "Training of demo-margin-12, by epoch",
        "What ran",
    ]
    first = browser.run(
        "return [...document.querySelectorAll('#tables table:first-of-type tr')].slice(0, 2)"
        ".map(r => [...r.cells].slice(0, 3).map(c => c.innerText))"
    )
    assert first == [["System", "Score", "Accuracy"], ["demo: trained", "cosine", "0.8000 ± 0.0100"]]
    # Every picture is decoded, has words beside it, and lies inside the page.
    images = browser.run(
        "return [...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt.length > 10])"
    )
    assert len(images) > 5 and all(all(image) for image in images)
    # The page itself never scrolls sideways; wide tables do so in their own, focusable box.
    assert browser.run("return document.documentElement.scrollWidth") <= width
    # Short words are not broken within: the cell "cosine" is one line high.
    lines = "const r = document.createRange(); r.selectNodeContents(c); return r.getClientRects().length"
    cells = "[...document.querySelectorAll('td.text')].filter(c => c.innerText === 'cosine')"
    broken = browser.run(f"return {cells}.map(c => {{ {lines} }})")
    assert broken and set(broken) == {1}
    assert browser.run("return [...document.querySelectorAll('.scroll')].every(box => box.tabIndex === 0)")
    loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    assert browser.console() == []


def test_text_stands_out_in_light_and_in_dark(page, open_browser):
    where = ["body", ".soft", "a", "td strong"]
    papers = []
    for dark in (False, True):
        browser = open_browser(1280, 900, dark=dark)
        browser.open(page)
        *contrasts, paper = browser.run(CONTRASTS.replace("WHERE", json.dumps(where)))
        assert min(contrasts) >= 4.5
        papers.append(paper)
    assert papers[0] > 0.9 and papers[1] < 0.05
