"""One self-contained HTML file about a run or several: tables, then pictures, then how to get them again.

The page itself is in `templates/`. Everything that comes from outside is escaped there by Jinja2.
"""

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from urfr_tf.errors import UrfrError
from urfr_tf.files import write_text
from urfr_tf.visualize import canvas
from urfr_tf.visualize.cells import Cell, format_number


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

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers only, so that its heading is aligned as numbers are."""
        return column > 0 and not any(isinstance(row[column], str) for row in self.rows)


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


def encode_picture(picture: Picture) -> bytes:
    """The picture as PNG bytes.

    Raises:
        UrfrError: it is neither a figure nor PNG bytes.
    """
    if isinstance(picture.figure, Figure):
        return canvas.encode_png(picture.figure)
    if not picture.figure.startswith(b"\x89PNG\r\n\x1a\n"):
        raise UrfrError(f"expected a matplotlib figure or PNG bytes for the picture {picture.caption!r}")
    return picture.figure


def replace_unprintable(value: object) -> object:
    """Replaces what cannot stand in an HTML file: lone surrogates (odd file names) and NUL."""
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    # Markup has been escaped already. As plain text it would be escaped twice.
    return Markup(text) if isinstance(value, Markup) else text


def format_cell(cell: Cell) -> str:
    """A cell as text; empty for what was not measured."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else format_number(cell)


def render_heading(cell: Cell) -> Markup:
    """A row's heading. A long dotted name may break after a dot rather than within a word."""
    # No entity of `escape` holds these four characters.
    return Markup(re.sub(r"([._/:])", r"\1<wbr>", str(escape(replace_unprintable(format_cell(cell))))))


def render_command(command: str) -> Markup:
    """A command. Its options stay whole where the line breaks: "-" and "-set" would be hard to read."""
    text = str(escape(replace_unprintable(command)))
    return Markup(re.sub(r"(?<!\S)-[\w-]+", r'<span class="option">\g<0></span>', text))


def encode_base64(picture: Picture) -> str:
    """The picture as base64, for a `data:` address."""
    return base64.b64encode(encode_picture(picture)).decode("ascii")


def template_environment() -> Environment:
    """The templates of the report, with autoescape for every one of them."""
    environment = Environment(
        loader=PackageLoader("urfr_tf.visualize"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=replace_unprintable,
    )
    environment.filters.update(
        format_cell=format_cell,
        render_heading=render_heading,
        render_command=render_command,
        encode_base64=encode_base64,
    )
    return environment


def render_report(
    title: str, tables: Sequence[Table], figures: Sequence[Picture], notes: Sequence[Note], lead: str = ""
) -> str:
    """Renders the report as HTML text; the same arguments give the same text.

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
    template = template_environment().get_template("report.html")
    return template.render(title=title, lead=lead, tables=tables, pictures=figures, notes=notes)


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
