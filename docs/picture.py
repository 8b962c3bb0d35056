"""Draws the summary of a saved result as the terminal shows it, for the README.

python docs/picture.py reports/CPU/digits-cnn-onnx-fp32/result-fp32.json docs/report-digits.svg
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from qs.render.terminal import doubts, heading, lines, table
from qs.result.saved import read_result
from qs.result.story import Story, story_of

WIDTH = 132


def picture(story: Story) -> str:
    """An SVG that needs no font from elsewhere."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH, highlight=False)
    for line in heading(story):
        console.print(line, markup=False)
    console.print(table(story, WIDTH))
    for line in (*doubts(story), *lines(story)):
        console.print(line, markup=False)
    svg = console.export_svg(title="qs run", theme=MONOKAI)
    return re.sub(r"@font-face\s*{.*?}\s*", "", svg, flags=re.DOTALL).replace(
        "Fira Code", "monospace"
    )


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(picture(story_of(read_result(source), source.parent)), encoding="utf-8")
