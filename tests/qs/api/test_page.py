"""docs/python.md and the notebook run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qs.program import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text()
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "QS_DATA": str(folder / "data")}


@pytest.mark.slow
def test_the_snippets_of_the_page(tmp_path):
    snippets = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 3
    (tmp_path / "page.py").write_text("\n".join(snippets))
    ran = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "VALID" in ran.stdout and (tmp_path / "both.svg").is_file()
    assert (tmp_path / "requests.npz").is_file()


@pytest.mark.slow
def test_the_notebook_runs_and_shows_tables_and_curves(tmp_path):
    """By Jupyter's own kernel, whose thread has a running event loop."""
    done = tmp_path / "done.ipynb"
    code = (
        "import nbformat, nbclient, sys; book = nbformat.read(sys.argv[1], 4); "
        "nbclient.NotebookClient(book, timeout=200, kernel_name='python3').execute(); "
        "nbformat.write(book, sys.argv[2])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, NOTEBOOK, done],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    cells = json.loads(done.read_text())["cells"]
    shown = [
        "".join(output.get("data", {}).get(kind, ""))
        for cell in cells
        for output in cell.get("outputs", ())
        for kind in ("text/html", "image/svg+xml", "text/plain")
    ]
    assert any("<table" in text and "<svg" in text for text in shown)
    assert any(text.startswith("<svg") for text in shown)
    assert any("items_per_s" in text for text in shown)


def test_the_notebook_is_saved_without_outputs():
    book = json.loads(NOTEBOOK.read_text())
    assert all(not cell.get("outputs") for cell in book["cells"])
