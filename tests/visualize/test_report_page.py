"""The report as HTML text; the browser's view of it is tests/visualize/test_report_browser.py."""

import base64
import re
from html.parser import HTMLParser

import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import create_figure, encode_png
from urfr_tf.visualize.cells import Measured, format_number
from urfr_tf.visualize.report import Note, Picture, Table, render_report, write_report

NASTY = "<script>alert(1)</script>\"'&"


class Elements(HTMLParser):
    """Collects (tag, attributes) and the text of the page, and checks that tags close in order."""

    VOID = frozenset({"meta", "link", "img", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def small_picture(caption="A picture", alt="what it shows"):
    figure = create_figure(1, 1)
    figure.add_subplot().plot([0, 1])
    return Picture(caption, alt, figure)


def test_a_whole_report():
    text = render_report(
        "Demo",
        [
            Table(
                "Results",
                ["System", "Accuracy", "Pairs"],
                [["trained", Measured(0.9, 0.01), 4500]],
                "A note.",
            )
        ],
        [small_picture()],
        [Note("The run", "Trained so.", "urfr train --config x", "a: 1")],
    )
    page = Elements(text)
    assert page.all("caption") and len(page.all("table")) == 1
    assert [th["scope"] for th in page.all("th")] == ["col", "col", "col", "row"]
    (image,) = page.all("img")
    assert image["alt"] == "what it shows"
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    words = "".join(page.texts)
    for expected in (
        "0.9000 ± 0.0100",
        "4\N{NARROW NO-BREAK SPACE}500",
        "A note.",
        "urfr train --config x",
        "a: 1",
    ):
        assert expected in words
    # Tables first, then pictures, then how the numbers were obtained.
    assert [section["id"] for section in page.all("section")] == ["tables", "pictures", "method"]
    assert [heading for heading in ("lang", "en") if heading in page.all("html")[0]] == ["lang"]
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))


def test_every_text_is_escaped():
    text = render_report(
        NASTY,
        [Table(NASTY, [NASTY, NASTY], [[NASTY, NASTY]], NASTY)],
        [small_picture(NASTY, NASTY)],
        [Note(NASTY, NASTY, NASTY, NASTY)],
        NASTY,
    )
    page = Elements(text)
    assert not page.all("script")
    assert page.all("img")[0]["alt"] == NASTY
    # title, h1, lead, caption, 2 headings of columns, 1 of a row, 1 cell, note, figcaption, 4 of the Note.
    assert "".join(page.texts).count(NASTY) == 14


def test_text_stays_inside_its_attribute():
    """Every attribute that holds outside text: the picture's alt and the wide picture's label."""
    escaping = '" onload="alert(1)" x="'
    wide = Picture(escaping, escaping, small_picture().figure, wide=True)
    table = Table(escaping, [escaping], [[escaping]], escaping)
    page = Elements(render_report(escaping, [table], [wide], [Note(escaping, command=escaping)], escaping))
    assert page.all("img")[0]["alt"] == escaping
    (box,) = (attributes for attributes in page.all("div") if "aria-label" in attributes)
    assert box["aria-label"] == escaping
    names = {name for _, attributes in page.found for name in attributes}
    assert not names & {"onload", "x"}


def test_text_is_no_template():
    """What looks like Jinja2's own marks in a file name or a note is text like any other."""
    text = "{{ 1 + 1 }} {% raw %}"
    page = Elements(render_report(text, [Table(text, [text], [[text]])], [], [Note(text, text, text, text)]))
    assert "".join(page.texts).count(text) == 9


def test_nothing_is_fetched_and_no_script_runs():
    text = render_report("Demo", [], [small_picture()], [])
    policy = next(
        meta["content"]
        for meta in Elements(text).all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert "url(" not in text and "@import" not in text


def test_the_same_arguments_give_the_same_bytes():
    def render():
        return render_report("Demo", [Table("t", ["a"], [["b"]])], [small_picture()], [])

    assert render() == render()


def test_best_cells_and_missing_cells():
    table = Table("t", ["s", "a"], [["x", 0.5], ["y", None]], best=frozenset({(0, 1)}))
    text = render_report("Demo", [table], [], [])
    assert "<strong>0.5000</strong>" in text and "not measured" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.85, "0.8500"),
        (1.0, "1.0000"),
        (1.0522, "1.052"),
        (11.8126, "11.81"),
        (245.04, "245.0"),
        (0.000767, "7.67e-04"),
        (-0.0005, "-5.00e-04"),
        (0.0, "0.0000"),
        (3e7, "3.00e+07"),
        (float("nan"), "not a number"),
        (float("inf"), "inf"),
        (15_600_000, "15\N{NARROW NO-BREAK SPACE}600\N{NARROW NO-BREAK SPACE}000"),
        (Measured(0.97, 0.0025), "0.9700 ± 0.0025"),
        (Measured(0.5, interval=(0.4, 0.6), thin=True), "0.5000† (0.4000 to 0.6000)"),
        (True, "yes"),
    ],
)
def test_numbers_are_readable(value, text):
    assert format_number(value) == text


def test_odd_characters_do_not_break_the_file(tmp_path):
    # A lone surrogate (a file name that is not UTF-8) and a NUL cannot stand in an HTML file.
    write_report(tmp_path / "r.html", "a\udcffb\x00c", [], [], [])
    assert "<h1>a?b\N{REPLACEMENT CHARACTER}c</h1>" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_ragged_rows_and_other_pictures_are_refused(tmp_path):
    out = tmp_path / "r.html"
    with pytest.raises(UrfrError, match="2 cells in each row of the table 't', got 1"):
        write_report(out, "Demo", [Table("t", ["a", "b"], [["x"]])], [], [])
    with pytest.raises(UrfrError, match="PNG"):
        write_report(out, "Demo", [], [Picture("c", "a", b"GIF89a")], [])
    assert not out.exists()


def test_png_bytes_are_taken_as_they_are():
    data = encode_png(small_picture().figure)
    text = render_report("Demo", [], [Picture("c", "a", data, wide=True)], [])
    assert base64.b64encode(data).decode() in text
    assert Elements(text).all("figure")[0]["class"] == "wide"


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UrfrError, match="could not write"):
        write_report(tmp_path / "file" / "r.html", "Demo", [], [], [])
