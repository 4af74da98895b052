"""The report's HTML and its style sheet: strings in, strings out; every value is escaped here."""

import base64
import html
import numbers
import re
from collections.abc import Sequence
from dataclasses import dataclass

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #ffffff;
  --band: #f6f8fa; --accent: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --line: #3a424c;
  --paper: #0f141a; --band: #181f27; --accent: #6cb6ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
body > * { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .35rem; overflow-wrap: anywhere; }
p { margin: .35rem 0 .75rem; max-width: 48rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
nav a { margin-right: 1.25rem; }
.soft, figcaption, footer { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; margin: 0 0 1.75rem; background:
  linear-gradient(to left, var(--paper) 1.5rem, transparent) right / 2.5rem 100% no-repeat local,
  linear-gradient(to left, var(--line), transparent) right / 1.25rem 100% no-repeat scroll; }
.scroll + .soft { margin-top: -1.15rem; margin-bottom: 1.75rem; }
.scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; font-size: 1rem; padding: .25rem 0 .5rem; }
caption span { display: block; position: sticky; left: 0; width: max-content;
  max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .4rem .8rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { background: var(--band); border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--paper); }
thead th:first-child { position: sticky; left: 0; }
tbody th, td.text { max-width: 22rem; overflow-wrap: break-word; }
.number { text-align: right; white-space: nowrap; }
td strong { color: var(--accent); }
.pictures { display: grid; gap: 1.75rem 1.5rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
figure { margin: 0; min-width: 0; }
figure.wide { grid-column: 1 / -1; }
figure > div { overflow-x: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; padding: .4rem; }
figure.wide img { max-width: none; width: 100%; min-width: 40rem; }
figcaption { margin-top: .5rem; overflow-wrap: anywhere; }
pre { background: var(--band); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem;
  overflow-x: auto; font-size: .85rem; line-height: 1.45; margin: .35rem 0 1rem; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; }
.option { white-space: nowrap; }
summary { cursor: pointer; color: var(--accent); }
footer { padding: 2rem 1.25rem 3rem; }
@media (max-width: 44rem) { .pictures { grid-template-columns: minmax(0, 1fr); }
  h1 { font-size: 1.4rem; } th, td { padding: .35rem .55rem; } tbody th { max-width: 8.5rem; }
  td.text { min-width: 6.5rem; max-width: 11rem; overflow-wrap: anywhere; } }
@media print { .scroll { overflow: visible; } details > * { display: block; } }
"""

# Nothing may be fetched and no script may run, whatever a run's files hold.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Measured:
    """A value with what is known of its uncertainty: value ± standard error (low to high), † where thin."""

    value: float
    error: float | None = None
    interval: tuple[float, float] | None = None
    thin: bool = False


Cell = str | int | float | Measured | None


def escape(value: object) -> str:
    """Text that is safe between tags and inside a quoted attribute; lone surrogates are replaced."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return html.escape(text, quote=True).replace("\x00", "\N{REPLACEMENT CHARACTER}")


def number_text(value: int | float | Measured) -> str:
    """A number as the tables show it: integers with thousands apart, fractions with four decimals.

    Above one it is five significant digits at most; what four decimals would hide comes as 7.67e-04.
    """
    if isinstance(value, Measured):
        text = number_text(value.value) + ("†" if value.thin else "")
        text += f" ± {number_text(value.error)}" if value.error is not None else ""
        return text + (f" ({' to '.join(map(number_text, value.interval))})" if value.interval else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if value != value:
        return "not a number"
    size = abs(value)
    if 0 < size < 1e-3 or size >= 1e5:
        return f"{value:.2e}"
    return f"{value:.{4 if size <= 1 else 3 if size < 10 else 2 if size < 100 else 1}f}"


def _cell(value: Cell, best: bool) -> str:
    if value is None:
        return '<td class="number"><span title="not measured">\N{EN DASH}</span></td>'
    if isinstance(value, str):
        kind, text = "text", escape(value)
    else:
        kind, text = "number", escape(number_text(value))
    return f'<td class="{kind}">{f"<strong>{text}</strong>" if best else text}</td>'


def table_html(
    identifier: str,
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    best: frozenset[tuple[int, int]],
    note: str,
) -> str:
    """A real table: caption, column headings with scope, the first cell of each row is its heading.

    It scrolls sideways inside its own focusable region, so a wide table never widens the page.
    """
    numeric = [
        all(row[index] is None or not isinstance(row[index], str) for row in rows)
        for index in range(len(columns))
    ]
    head = "".join(
        f'<th scope="col" class="{"number" if index and numeric[index] else "text"}">{escape(name)}</th>'
        for index, name in enumerate(columns)
    )
    body = ""
    for at, row in enumerate(rows):
        first = row[0] if isinstance(row[0], str) else "" if row[0] is None else number_text(row[0])
        # A long dotted name may break after a dot rather than within a word; no entity holds these four.
        heading = re.sub(r"([._/:])", r"\1<wbr>", escape(first))
        body += f'<tr><th scope="row">{heading}</th>'
        body += "".join(_cell(value, (at, index) in best) for index, value in enumerate(row) if index)
        body += "</tr>\n"
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{identifier}"><table>'
        f'<caption id="{identifier}"><span>{escape(caption)}</span></caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"
        f"</div>\n" + (f'<p class="soft">{escape(note)}</p>\n' if note else "")
    )


def picture_html(png: bytes, alt: str, caption: str, wide: bool) -> str:
    """A figure whose PNG travels inside the page."""
    data = base64.b64encode(png).decode("ascii")
    # Only a wide picture can need to scroll (on a telephone), so only it takes the keyboard's focus.
    kind, focus = (
        ("wide", f' role="region" tabindex="0" aria-label="{escape(caption)}"') if wide else ("half", "")
    )
    return (
        f'<figure class="{kind}"><div{focus}>'
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
    )


def note_html(heading: str, text: str, command: str, detail: str, detail_name: str) -> str:
    """A paragraph on how something was obtained, its command, and a long text folded away."""
    parts = [f"<h3>{escape(heading)}</h3>"]
    if text:
        parts.append(f"<p>{escape(text)}</p>")
    if command:
        # An option stays whole where the line breaks: "-" and "-set" would be hard to read.
        shown = re.sub(r"(?<!\S)-[\w-]+", r'<span class="option">\g<0></span>', escape(command))
        parts.append(f'<pre class="command"><code>{shown}</code></pre>')
    if detail:
        parts.append(
            f"<details><summary>Show {escape(detail_name)}</summary><pre>{escape(detail)}</pre></details>"
        )
    return "\n".join(parts) + "\n"


def page_html(title: str, lead: str, sections: Sequence[tuple[str, str, str]], footer: str) -> str:
    """The whole page; `sections` holds (identifier, heading, ready HTML) in the order shown."""
    links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading, _ in sections)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-heading">'
        f'<h2 id="{name}-heading">{escape(heading)}</h2>\n{inner}</section>\n'
        for name, heading, inner in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n'
        f"</head>\n<body>\n<header><h1>{escape(title)}</h1>"
        f"{f'<p>{escape(lead)}</p>' if lead else ''}"
        f'<nav aria-label="Sections">{links}</nav></header>\n<main>\n{body}</main>\n'
        f"<footer>{escape(footer)}</footer>\n</body>\n</html>\n"
    )
