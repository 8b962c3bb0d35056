"""Whatever a vendor or a command line hands over becomes something that JSON and databases hold."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from qs.base.files import to_json, to_json_line
from qs.base.storable import DEEPEST, TOO_DEEP, storable
from qs.result.row import Verdict


class Silent:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gr\u00fcn \N{GRINNING FACE}", "gr\u00fcn \N{GRINNING FACE}"),
        ("a \udcff b", "a \\udcff b"),
        ("\ud83d", "\\ud83d"),
        ({"\udc80": {"\udc80": "\udc80"}}, {"\\udc80": {"\\udc80": "\\udc80"}}),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (2**64, 2.0**64),
        (-(2**63) - 1, -(2.0**63)),
        pytest.param(10**5000, "(an integer of 16610 bits)", id="huge"),
        (True, True),
        (b"\xff\x00", "b'\\xff\\x00'"),
        ((1, {2}), [1, [2]]),
        ({3: "x", None: "y"}, {"3": "x", "None": "y"}),
        (Verdict.VALID, "VALID"),
        (date(2026, 11, 29), "2026-11-29"),
        (Path("a/b"), "a/b"),
        (Silent(), "(Silent without a text)"),
    ],
)
def test_a_strange_value_becomes_a_plain_one(value, expected):
    found = storable(value)
    assert (found, type(found)) == (expected, type(expected))
    assert json.loads(to_json({"held": [value]})) == {"held": [expected]}
    assert json.loads(to_json_line({"held": [value]})) == {"held": [expected]}


def test_nesting_has_an_end():
    value: list = []
    inner = value
    for _ in range(400):
        inner.append([])
        inner = inner[0]
    inner.append(inner)  # it contains itself
    found = json.loads(to_json(value))
    depth = 0
    while isinstance(found, list):
        found, depth = found[0], depth + 1
    assert (found, depth) == (TOO_DEEP, DEEPEST)


def test_nan_is_null():
    assert json.loads(to_json({"a": float("nan"), "b": -float("inf"), "\udcff": 1})) == {
        "a": None,
        "b": None,
        "\\udcff": 1,
    }
