"""What MkDocs changes in pages that programs write: figures stay whole, and paths of pages become links."""

import os
import re
from typing import Any

_PATH = re.compile(r"(?<![\w/`(\[])docs/([\w/-]+\.md)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Draws arrows in tables, puts no-break spaces into "51.0 ± 0.3 (2)",
    and makes links of paths such as docs/lab/pose.md outside of code.
    """
    here = os.path.dirname(page.file.src_uri)

    def link(match: re.Match[str]) -> str:
        target = os.path.relpath(match.group(1), here or ".")
        return f"[{match.group()}]({target})"

    figures = re.sub(r"(?<=[\d.]) (?=± ?[\d.])|(?<=±) (?=[\d.])|(?<=\d) (?=\(\d+\) )", "\u00a0", markdown)
    lines = [line.replace(" -> ", " → ") if line.startswith("|") else line for line in figures.split("\n")]
    return "\n".join(line if line.startswith("    ") else _PATH.sub(link, line) for line in lines)
