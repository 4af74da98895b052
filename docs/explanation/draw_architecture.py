"""Draws docs/explanation/architecture.svg from the imports of the code.

    python docs/explanation/draw_architecture.py

The floors are those that tests/test_imports.py enforces. An arrow means "imports". An arrow that follows from
two others is left out. A test compares the file with what this script draws.
"""

import ast
import sys
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from house import FLOORS, PACKAGE, imports_of_rooms  # noqa: E402 - the path comes first

OUT = Path(__file__).with_name("architecture.svg")
WIDTH, BOX, HEIGHT, GAP, MARGIN = 1240, 184, 62, 52, 18
COLORS = ("#eef3fb", "#eaf6ef", "#fdf5e6", "#fbeef0", "#f1eefb", "#eef7f8")


def describe(room):
    """The first sentence of the room's docstring, without the full stop."""
    folder = PACKAGE / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return " ".join(text.split()).rstrip(".").replace("`", "")


def reduce_edges(edges):
    """Leaves out every edge that is also a longer way (transitive reduction of an acyclic graph)."""
    reach = {}

    def reachable(room):
        if room not in reach:
            reach[room] = edges[room].union(*map(reachable, edges[room]))
        return reach[room]

    return {
        room: {other for other in below if not any(other in reachable(way) for way in below - {other})}
        for room, below in edges.items()
    }


def place_rooms():
    """Room -> left and top of its box; the top floor comes first."""
    places = {}
    for row, rooms in enumerate(reversed(FLOORS)):
        gap = (WIDTH - 2 * MARGIN - len(rooms) * BOX) / (len(rooms) + 1)
        for column, room in enumerate(rooms):
            places[room] = (MARGIN + gap + column * (BOX + gap), MARGIN + row * (HEIGHT + GAP))
    return places


def draw():
    """The picture as the text of an SVG file."""
    places, edges = place_rooms(), reduce_edges(imports_of_rooms())
    height = 2 * MARGIN + len(FLOORS) * (HEIGHT + GAP) - GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" role="img" aria-label="Rooms of urfr_tf and what they import">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5b6b82"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for room in sorted(edges):
        x, y = places[room]
        for other in sorted(edges[room]):
            to_x, to_y = places[other]
            start, end = (x + BOX / 2, y + HEIGHT), (to_x + BOX / 2, to_y)
            bend = max(GAP * 0.7, (end[1] - start[1]) * 0.35)
            lines.append(
                f'<path d="M{start[0]:.0f} {start[1]:.0f} C{start[0]:.0f} {start[1] + bend:.0f} {end[0]:.0f} '
                f'{end[1] - bend:.0f} {end[0]:.0f} {end[1]:.0f}" fill="none" stroke="#5b6b82" '
                'stroke-opacity="0.55" stroke-width="1.1" marker-end="url(#tip)"/>'
            )
    for row, rooms in enumerate(reversed(FLOORS)):
        for room in rooms:
            x, y = places[room]
            name = f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py"
            lines.append(
                f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" height="{HEIGHT}" rx="7" '
                f'fill="{COLORS[row % len(COLORS)]}" stroke="#8fa0b8"/>'
            )
            lines.append(
                f'<text x="{x + 9:.0f}" y="{y + 18:.0f}" font-size="13.5" font-weight="bold" fill="#17263c">'
                f"{escape(name)}</text>"
            )
            for number, text in enumerate(textwrap.wrap(describe(room), 31, max_lines=3, placeholder=" …")):
                lines.append(
                    f'<text x="{x + 9:.0f}" y="{y + 32 + 11.5 * number:.1f}" font-size="9.6" fill="#33445c">'
                    f"{escape(text)}</text>"
                )
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    OUT.write_text(draw(), encoding="utf-8")
    print(OUT.relative_to(ROOT))
