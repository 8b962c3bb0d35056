"""No command of README.md and docs/ waits for somebody at a terminal: each is run there, as it
stands in the file, with nobody to type. That it does its job is tested elsewhere, page by page.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.pseudo_terminal import ROOT, left_alone

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Lines with a name to fill in, of a backend that the page has first to be followed for, or that
# need another checkout.
_OWN = re.compile(r"ACME|XXX|OLDGEN|\$|<\w+>|\.\.\.|minilm|--metrics :")
MEASURING = ("run", "load", "sweep", "numeric")

# Python 3.12 and later warn of a fork beside threads; the child replaces itself at once.
pytestmark = pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")


def commands(page: Path) -> list[str]:
    """The lines of its shell blocks that start `qs`, in order, without comments."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```$", page.read_text(), re.M | re.S)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("qs ") and not _OWN.search(line)]


def quick() -> list[str]:
    """One that lists, and the shortest that measures a stated number of queries."""
    every = [line for page in PAGES for line in commands(page)]
    short = (line for line in every if line.startswith("qs run") and "--iterations" in line)
    return [next(line for line in every if line.startswith("qs list")), min(short, key=len)]


def furnished(folder: Path) -> Path:
    """Where a reader would be: with a model file of their own."""
    shutil.copy(ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx", folder / "model.onnx")
    return folder


def waits_for_nobody(line: str, folder: Path) -> None:
    seen = left_alone(line, folder, QS_DATA=str(folder / "data"))
    assert seen.status is not None, f"{line}: ended by a signal\n{seen.screen}"
    assert "Traceback" not in seen.screen, f"{line}\n{seen.screen}"
    assert "asks; Enter takes the default" not in seen.screen, f"{line}\n{seen.screen}"


def test_the_pages_have_commands():
    assert len(commands(ROOT / "README.md")) > 2
    assert sum(len(commands(page)) for page in PAGES) > 20


@pytest.mark.parametrize("line", [quick()[0], pytest.param(quick()[1], marks=pytest.mark.slow)])
def test_a_quick_command_waits_for_nobody(line, tmp_path):
    waits_for_nobody(line, furnished(tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.name
)
def test_every_command_of_a_page_waits_for_nobody(page, tmp_path):
    """In order, in one folder, as they are read."""
    folder = furnished(tmp_path)
    for line in commands(page):
        waits_for_nobody(line, folder)
