"""The report in a real headless Chromium, driven over WebDriver's plain HTTP (no further package needed)."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from urfr_tf.visualize.confidence_figure import draw_confidences
from urfr_tf.visualize.provenance import describe_provenance
from urfr_tf.visualize.report import Picture, write_report
from urfr_tf.visualize.result_tables import make_result_tables
from urfr_tf.visualize.run_tables import make_run_tables
from urfr_tf.visualize.source_pictures import draw_sources
from urfr_tf.visualize.sources import read_source

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="needs Chromium and ChromeDriver (Debian packages chromium and chromium-driver)",
)

# As root in a container there is no sandbox; the rest keeps the browser from looking for a network.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


class Browser:
    """One WebDriver session (https://www.w3.org/TR/webdriver2)."""

    def __init__(self, port, profile, width, height, dark=False):
        self.base = f"http://127.0.0.1:{port}"
        options = {
            "binary": CHROMIUM,
            "args": [*FLAGS, f"--user-data-dir={profile}", *(["--force-dark-mode"] if dark else [])],
            # The only way below 500 pixels, and with the pixels of a telephone.
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}},
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{answer['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def open(self, path):
        self.call("POST", "/url", {"url": path.as_uri()})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def console(self):
        return [
            (line["level"], line["message"]) for line in self.call("POST", "/se/log", {"type": "browser"})
        ]


@pytest.fixture(scope="module")
def driver():
    """ChromeDriver on a free port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def open_browser(driver, tmp_path):
    """Opens browsers of a size, and closes them."""
    browsers = []

    def start(width, height, **more):
        browsers.append(Browser(driver, tmp_path / f"profile-{len(browsers)}", width, height, **more))
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.call("DELETE", "")


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
    # WCAG 2.2, 1.4.3: contrast (L1 + 0.05) / (L2 + 0.05) of at least 4.5, L the relative luminance.
    script = """
      const luminance = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number)
        .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const paper = luminance(getComputedStyle(document.body).backgroundColor);
      return ['body', '.soft', 'a', 'td strong'].map(where => {
        const ink = luminance(getComputedStyle(document.querySelector(where)).color);
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
      }).concat([paper]);
    """
    papers = []
    for dark in (False, True):
        browser = open_browser(1280, 900, dark=dark)
        browser.open(page)
        *contrasts, paper = browser.run(script)
        assert min(contrasts) >= 4.5
        papers.append(paper)
    assert papers[0] > 0.9 and papers[1] < 0.05
