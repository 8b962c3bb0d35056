"""docs/architecture.md says what is so: its floors are the contracts', its files exist."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WALK = PAGE[PAGE.index("## Follow one value") : PAGE.index("Between them the value")]


def layers(contract: str) -> list[set[str]]:
    """The floors of a contract in setup.cfg, from the top."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = parser[f"importlinter:contract:{contract}"]["layers"].split("\n")
    return [set(re.findall(r"\w+", line)) for line in lines if line]


def drawn() -> list[set[str]]:
    """The words of each floor of the drawing, from the top."""
    boxes = re.findall(r"^[┌├].*?\n(.*?)(?=^[├└])", PAGE, re.MULTILINE | re.DOTALL)
    return [set(re.findall(r"\w+", box)) for box in boxes]


def test_the_drawing_has_every_package_on_its_floor() -> None:
    floors, program = drawn(), layers("qs")[:-1]
    assert [names <= floor for names, floor in zip(program, floors)] == [True] * len(program)
    engine = floors[len(program) :]
    rooms = [set.union(*group) for group in grouped(layers("engine"), len(engine))]
    assert [names <= floor for names, floor in zip(rooms, engine)] == [True] * len(engine)


def grouped(floors: list[set[str]], boxes: int) -> list[list[set[str]]]:
    """plan, judge, result, ruling, statistics, measures and record, a floor each, share one box."""
    at = floors.index({"plan"})
    grouped = [[floor] for floor in floors]
    return [*grouped[:at], floors[at : at + 7], *grouped[at + 7 :]][:boxes]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE))))
def test_the_files_it_names_exist(path: str) -> None:
    places = (ROOT, ROOT / "qs", ROOT / "engine", ROOT / "engine" / "workers")
    assert any((place / path).is_file() for place in places)


def test_the_walk_passes_at_most_eight_files_each_once() -> None:
    files = re.findall(r"^\| `([\w/.]+)`", WALK, re.MULTILINE)
    assert len(files) == len(set(files)) <= 8
    assert all((ROOT / file).is_file() for file in files)
