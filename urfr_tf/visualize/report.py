"""One self-contained HTML file about a run or several: tables, then pictures, then how to get them again."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from urfr_tf.errors import UrfrError
from urfr_tf.files import write_text
from urfr_tf.visualize import canvas, page
from urfr_tf.visualize.page import Cell, Measured

__all__ = ["Cell", "Measured", "Note", "Picture", "Table", "render_report", "write_report"]


@dataclass(frozen=True)
class Table:
    """A table of the report.

    columns: names; the first column's cells are the rows' headings.
    rows: cells, as many a row as there are columns; None is shown as a dash ("not measured").
    best: (row, column) of the cells to stress.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    best: frozenset[tuple[int, int]] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Picture:
    """A picture of the report: a matplotlib figure or PNG bytes, and what it says in words.

    alt: for those who do not see the picture; what is shown and what it tells.
    wide: takes the page's whole width (heatmaps, rows of faces).
    """

    caption: str
    alt: str
    figure: Figure | bytes
    wide: bool = False


@dataclass(frozen=True)
class Note:
    """How something was obtained: a sentence, the command that gives it again, a long text folded away.

    detail_name: what the folded text is, for instance its file's name.
    """

    heading: str
    text: str = ""
    command: str = ""
    detail: str = ""
    detail_name: str = "the details"


def picture_png(picture: Picture) -> bytes:
    """The picture as PNG bytes.

    Raises:
        UrfrError: it is neither a figure nor PNG bytes.
    """
    if isinstance(picture.figure, Figure):
        return canvas.png(picture.figure)
    if not picture.figure.startswith(b"\x89PNG\r\n\x1a\n"):
        raise UrfrError(f"expected a matplotlib figure or PNG bytes for the picture {picture.caption!r}")
    return picture.figure


def render_report(
    title: str, tables: Sequence[Table], figures: Sequence[Picture], notes: Sequence[Note], lead: str = ""
) -> str:
    """The report as HTML text; the same arguments give the same text.

    Raises:
        UrfrError: a row has more or fewer cells than the table has columns, a picture is no PNG.
    """
    for table in tables:
        for row in table.rows:
            if len(row) != len(table.columns) or not row:
                raise UrfrError(
                    f"expected {len(table.columns)} cells in each row of the table {table.caption!r}, "
                    f"got {len(row)}"
                )
    inner_tables = "".join(
        page.table_html(f"table-{index}", table.caption, table.columns, table.rows, table.best, table.note)
        for index, table in enumerate(tables, 1)
    )
    inner_pictures = "".join(
        page.picture_html(picture_png(picture), picture.alt, picture.caption, picture.wide)
        for picture in figures
    )
    inner_notes = "".join(
        page.note_html(note.heading, note.text, note.command, note.detail, note.detail_name) for note in notes
    )
    sections = [
        ("tables", "Tables", inner_tables or "<p>No table could be made; the last section says why.</p>"),
        (
            "pictures",
            "Pictures",
            f'<div class="pictures">\n{inner_pictures}</div>\n'
            if figures
            else "<p>No picture could be made; the last section says why.</p>",
        ),
        ("method", "How the numbers were obtained", inner_notes or "<p>Nothing was noted.</p>"),
    ]
    return page.page_html(title, lead, sections, "Written by urfr report; this file needs no network.")


def write_report(
    out: str | os.PathLike[str],
    title: str,
    tables: Sequence[Table],
    figures: Sequence[Picture],
    notes: Sequence[Note],
    lead: str = "",
) -> None:
    """Writes the report to `out`, whole or not at all.

    Raises:
        UrfrError: as `render_report`; the disk is full or the folder cannot be written.
    """
    write_text(out, render_report(title, tables, figures, notes, lead))
