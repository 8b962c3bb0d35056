"""Values in generated files read as a person would write them, and as ruff lays them out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qs.scaffold.literals import WIDTH, assignment, literal

ROOT = Path(__file__).parents[3]
LONG = [f"class number {at}" for at in range(20)]
VALUES = [
    ("plain", '"plain"'),
    ("it's", '"it\'s"'),
    ('say "no"', "'say \"no\"'"),
    ("Zürich\n\\", '"Zürich\\n\\\\"'),
    (1 / 255, "1 / 255"),
    (0.485, "0.485"),
    (1 / 127.5, "2 / 255"),
    (-1 / 3, "-0.3333333333333333"),
    (0.123456789, "0.123456789"),
    (1e-300, "1e-300"),
    (123456789.25, "123456789.25"),
    (1.0, "1.0"),
    (0.0, "0.0"),
    (None, "None"),
    (("val.npz", "x"), '("val.npz", "x")'),
    (("x",), '("x",)'),
    ({"x": [0.5, 1]}, '{"x": [0.5, 1]}'),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=range(len(VALUES)))
def test_a_value_is_written_so_that_it_reads_back(value, text):
    assert literal(value) == text
    assert eval(text) == value  # noqa: S307


def test_long_values_are_as_ruff_lays_them_out(tmp_path):
    values = [
        LONG,
        {"x": LONG, "y": ["a"]},
        {"x": ("/" + "d" * 60 + "/val.npz", "images"), "y": ("/" + "d" * 60 + "/val.npz", "m")},
        "/" + "d" * 120,
        ["/" + "d" * 120, "b"],
    ]
    lines = [assignment(f"KEY_{at}", value, "    ") for at, value in enumerate(values)]
    file = tmp_path / "keys.py"
    file.write_text("class Keys:\n" + "\n".join(lines) + "\n")
    found: dict = {}
    exec(file.read_text(), found)  # noqa: S102
    assert [getattr(found["Keys"], f"KEY_{at}") for at in range(len(values))] == values
    for words in (["check"], ["format", "--check"]):
        config = ["--config", str(ROOT / "pyproject.toml")]
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "-q", *config, str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
    assert WIDTH == 100
