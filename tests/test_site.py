"""The documentation builds as a site without a warning, and its links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytest.importorskip("mkdocs")


def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "source", "place", "linked"),
    [
        ("[a](docs/load.md#batch)", "README.md", "index.md", "[a](load.md#batch)"),
        ("[two\nlines](bench/README.md)", "README.md", "index.md", "[two\nlines](bench.md)"),
        ("[r](../README.md)", "docs/load.md", "load.md", "[r](index.md)"),
        ("[r](../load.md)", "docs/api/python.md", "api/python.md", "[r](../load.md)"),
        ("[examples/](../examples)", "docs/load.md", "load.md", "examples/ (`examples`)"),
        ("[h](#here) [x](https://x.y/z)", "README.md", "index.md", None),
        ("![p](docs/report-digits.png)", "README.md", "index.md", "![p](report-digits.png)"),
    ],
    ids=lambda text: None,
)
def test_links(text, source, place, linked):
    assert hooks().linked(text, source, place) == (text if linked is None else linked)


@pytest.mark.slow
def test_it_builds_without_a_warning(tmp_path):
    """mkdocs.yml says strict: a warning is an error."""
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    ran = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert not re.search(r"^(WARNING|ERROR)", ran.stderr, re.MULTILINE)
    page = (tmp_path / "site" / "api" / "python.html").read_text()
    assert "load_result" in page
    assert "fonts.googleapis" not in page
    every = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert every <= {path.stem for path in (tmp_path / "site").glob("*.html")}
