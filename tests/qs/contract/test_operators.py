from __future__ import annotations

import pytest

from qs.contract.operators import operators_of


def _one(name, time_us, kind="Conv"):
    return {"name": name, "type": kind, "implementation": "jit", "time_us": time_us}


def test_means_of_several_inferences_the_longest_first():
    found = operators_of([[_one("a", 10), _one("b", 30)], [_one("a", 20), _one("b", 40)]], 4)
    assert (found["batch_size"], found["inferences"], found["total_us"]) == (4, 2, 50.0)
    assert [(row["name"], row["time_us"], row["share"]) for row in found["rows"]] == [
        ("b", 35.0, pytest.approx(0.7)),
        ("a", 15.0, pytest.approx(0.3)),
    ]


@pytest.mark.parametrize("inferences", [[], [[]], [[_one("a", 0)]]])
def test_nothing_counted_is_no_division(inferences):
    found = operators_of(inferences, 1)
    assert found["total_us"] == 0.0 and all(row["share"] == 0.0 for row in found["rows"])


def test_an_operator_that_runs_twice_in_an_inference_counts_twice():
    (row,) = operators_of([[_one("a", 10), _one("a", 5)]], 1)["rows"]
    assert row["time_us"] == 15.0
