"""The snippets of docs/engine.md run as they stand, in order, in one program; a snippet that begins
with a file's name is that file. Links and paths on all pages lead to something.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "engine.md"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "*/README.md", "datasets/*/README.md")
    for path in ROOT.glob(pattern)
)


def snippets(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def lay_out(found: list[str], folder: Path) -> Path:
    """Write the files that snippets name, and the program of all the others; returns the
    program.
    """
    program = []
    for snippet in found:
        named = re.match(r"# (\w+\.py)\n", snippet)
        if named:
            (folder / named.group(1)).write_text(snippet)
        else:
            program.append(snippet)
    path = folder / "page.py"
    path.write_text("\n".join(program))
    return path


def test_the_page_of_the_engine(tmp_path: Path) -> None:
    found = snippets(PAGE.read_text())
    assert len(found) > 10
    page = lay_out(found, tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(page)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("VALID 5000 ")
    assert "clients: 0 is not allowed, it must be at least 1" in lines
    assert "minimums reached" in done.stdout
    assert "INVALID ['25 of 100 requests failed (25 ValueError)'] {'ValueError': 25}" in lines
    assert "ValueError: bad sample" in lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    assert [each for each in links if "://" not in each and not (page.parent / each).exists()] == []
    paths = re.findall(r"`((?:qs|engine|tests|bench|scripts)/[\w./]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_public_name_of_the_engine_is_a_real_one() -> None:
    """Names that the page imports from the engine are in its `__all__`."""
    import qs.engine as engine

    imported = re.findall(r"^from qs.engine import (.+)$", PAGE.read_text(), re.MULTILINE)
    names = {name.strip() for line in imported for name in line.split(",")}
    assert names and names <= set(engine.__all__)
