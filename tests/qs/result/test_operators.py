"""Per-operator counters of a compile result, which a vendor may have filled with anything."""

from __future__ import annotations

import pytest

from qs.contract.operators import operators_of
from qs.render.terminal import operators as lines
from qs.result.operators import Operators, operators
from qs.result.result import GraphCompile

COUNTED = operators_of(
    [[{"name": f"n{at}", "type": "Conv", "implementation": "jit", "time_us": at}] for at in (1, 3)],
    8,
)


def test_the_longest_are_said_on_a_terminal():
    section = GraphCompile.lenient(
        {
            "Compile Duration": 1.0,
            "Compile Precision": "FP32",
            "Subgraph Coverage": 100.0,
            "Optimizations": {},
            "Operators": operators(COUNTED),
        }
    )
    assert lines(section) == [
        "operators (batch size 8, mean of 2 inferences, 2 us in all):",
        "   75.0 %       1.5 us  Conv n3 (jit)",
        "   25.0 %       0.5 us  Conv n1 (jit)",
    ]
    again = GraphCompile.model_validate(section.to_dict())
    assert again.operators is not None and again.operators.to_dict() == operators(COUNTED).to_dict()


@pytest.mark.parametrize(
    "stated",
    [
        {"rows": "many"},
        {"rows": [None, 7, {"name": 5, "time_us": "long", "share": {}}]},
        {"rows": [{"name": "a"}], "batch_size": "x", "total_us": [], "inferences": {}},
        {},
    ],
)
def test_strange_counters_cost_nothing(stated):
    found = operators(stated)
    assert isinstance(found, Operators)
    assert found.longest(10) == [] and isinstance(found.heading(), str)


@pytest.mark.parametrize("stated", [None, [], "operators", 7])
def test_what_is_no_object_is_none(stated):
    assert operators(stated) is None
