"""The page of a search in a gallery: in a real Chromium, at the width of a desktop and of a telephone."""

import json

import cv2
import numpy as np
import pytest
from browser import CHROMIUM, CONTRASTS, DRIVER, MISSING

from urfr_tf.data.cropper import CropSettings
from urfr_tf.gallery.found import Found, FoundFace, FoundPhotograph
from urfr_tf.gallery.gallery import Answer, Candidate
from urfr_tf.visualize.gallery_page import render_gallery_page, write_gallery_page

SETTINGS = CropSettings()
EVIL = "<script>document.title = 'run'</script> & \"Bob\""


def found_in(folder, calibrated=True):
    """Two faces on a photograph of 300 x 200, one of them known, and a file that is none."""
    image = np.random.default_rng(0).integers(0, 256, [200, 300, 3], np.uint8)
    cv2.imwrite(str(folder / "group.png"), image)
    thumbnail = cv2.imencode(".jpg", image[:40, :40])[1].tobytes()
    known, unknown = (True, False) if calibrated else (None, None)
    candidates = [Candidate(EVIL, 40.0, 3, thumbnail), Candidate("Zoë " + "long" * 30, -10.0, 1)]
    faces = [
        FoundFace([30, 20, 90, 100], np.linspace(1, 9, 16, dtype=np.float32), Answer(candidates, known)),
        FoundFace([-5, 150, 40, 230], np.ones(16, np.float32), Answer(candidates[1:], unknown)),
    ]
    photographs = [
        FoundPhotograph(str(folder / "group.png"), faces, ""),
        FoundPhotograph("missing.png", [], "unreadable: no such file"),
    ]
    calibration = {"threshold": 15.0, "fpir": 0.01, "people": 7} if calibrated else None
    warnings = ["the gallery has grown"] if calibrated else ["no calibration exists"]
    return Found("known.gallery", "likelihood", 8, photographs, calibration, warnings)


def test_lengths_of_bars_are_scores(tmp_path):
    page = render_gallery_page(found_in(tmp_path), SETTINGS)
    # Scores from -10 to 40 go from 4 to 100 per cent; the threshold 15 is half way.
    assert page.count('<i style="width:100.0%">') == 1
    assert page.count('<i style="width:4.0%">') == 2
    assert page.count('<b style="left:52.0%">') == 3
    # 30 of 300 is a tenth; the second box is cut at the edge.
    assert "left:10.0%;top:10.0%;width:20.0%;height:40.0%" in page
    assert "left:0.0%;top:75.0%;width:13.333%;height:25.0%" in page
    assert "nobody in the gallery" in page and "unreadable: no such file" in page
    assert "<script" not in page


def test_without_a_calibration_nothing_is_decided(tmp_path):
    page = render_gallery_page(found_in(tmp_path, calibrated=False), SETTINGS)
    assert page.count("no decision without a calibration") == 4  # frames and headings
    assert "<b style" not in page and "reaches the threshold" not in page


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=MISSING)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_as_a_reader_sees_it(tmp_path, open_browser, width):
    write_gallery_page(tmp_path / "page.html", found_in(tmp_path), SETTINGS)
    browser = open_browser(width, 900)
    browser.open(tmp_path / "page.html")
    assert browser.run("return document.title") == "Search in known.gallery"
    names = browser.run("return [...document.querySelectorAll('.name')].map(n => n.innerText)")
    assert names[0] == EVIL
    images = browser.run(
        "return [...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt.length > 5])"
    )
    assert len(images) == 4 and all(all(image) for image in images)
    # A frame lies on the photograph where its face is.
    share = browser.run(
        "const f = document.querySelector('.frame').getBoundingClientRect(),"
        " p = document.querySelector('.framed img').getBoundingClientRect();"
        "return [(f.left - p.left) / p.width, (f.top - p.top) / p.height,"
        " f.width / p.width, f.height / p.height]"
    )
    assert share == pytest.approx([0.1, 0.1, 0.2, 0.4], abs=0.01)
    # Beside the photograph where there is room, below it on a telephone.
    photograph, face = browser.run(
        "return ['.framed', '.face'].map(w => document.querySelector(w).getBoundingClientRect())"
        ".map(r => [r.left, r.top, r.right, r.bottom])"
    )
    assert face[0] >= photograph[2] if width > 1000 else face[1] >= photograph[3]
    assert browser.run("return document.documentElement.scrollWidth") <= width
    loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    assert browser.console() == []


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=MISSING)
def test_text_stands_out_in_light_and_in_dark(tmp_path, open_browser):
    write_gallery_page(tmp_path / "page.html", found_in(tmp_path), SETTINGS)
    where = json.dumps(["body", ".soft", "h3 .known", "h3 .unknown", ".warning"])
    for dark in (False, True):
        browser = open_browser(1280, 900, dark=dark)
        browser.open(tmp_path / "page.html")
        assert min(browser.run(CONTRASTS.replace("WHERE", where))[:-1]) >= 4.5
