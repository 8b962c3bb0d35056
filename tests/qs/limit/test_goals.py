"""Bounds as they are typed."""

from __future__ import annotations

import pytest

from qs.base.errors import Faults
from qs.limit.goals import Goal, parse_goal, parse_goals, with_implied


@pytest.mark.parametrize(
    ("text", "goal", "said"),
    [
        ("p99=50ms", Goal("p99", 0.01, 50_000_000), "p99=50ms"),
        ("p99.9=80ms", Goal("p99.9", 0.001, 80_000_000), "p99.9=80ms"),
        ("P50 = 1.5 s", Goal("p50", 0.5, 1_500_000_000), "p50=1.5s"),
        ("p99.0=.5ms", Goal("p99", 0.01, 500_000), "p99=500us"),
        ("p99.99=1m", Goal("p99.99", 0.0001, 60_000_000_000), "p99.99=60s"),
        ("mean=10ms", Goal("mean", None, 10_000_000), "mean=10ms"),
        ("mean=250us", Goal("mean", None, 250_000), "mean=250us"),
        ("errors=0.1%", Goal("errors", 0.001, None), "errors=0.1%"),
        ("errors=0.002", Goal("errors", 0.002, None), "errors=0.2%"),
        ("errors=0", Goal("errors", 0.0, None), "errors=0"),
    ],
)
def test_a_bound_is_read_and_said(text, goal, said):
    assert parse_goal(text) == goal
    assert str(goal) == said
    assert parse_goal(said) == goal


def test_several_are_separated_by_commas_or_repeated():
    assert [str(goal) for goal in parse_goals(["p99=50ms, errors=1%", "mean=5ms"])] == [
        "p99=50ms",
        "errors=1%",
        "mean=5ms",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p99=50", "with its unit"),
        ("p99=0ms", "above 0"),
        ("p99=-1ms", "with its unit"),
        ("p99=fast", "with its unit"),
        ("mean=3h", "with its unit"),
        ("p100=5ms", "p99=50ms"),
        ("p0=5ms", "p99=50ms"),
        ("p99", "p99=50ms"),
        ("", "p99=50ms"),
        ("errors=100%", "below 100 %"),
        ("errors=-1%", "below 100 %"),
        ("errors=nan", "below 100 %"),
        ("eror=1%", "did you mean 'errors'?"),
        ("men=1ms", "did you mean 'mean'?"),
    ],
)
def test_what_is_no_bound_is_refused_with_what_is(text, expected):
    with pytest.raises(Faults) as refused:
        parse_goal(text)
    assert expected in str(refused.value)
    assert str(refused.value).startswith("--slo is")


def test_all_faults_are_said_at_once():
    with pytest.raises(Faults) as refused:
        parse_goals(["p99=50, mean=5ms", "mean=6ms,what=1"])
    assert len(refused.value.faults) == 3
    assert "bounded twice" in str(refused.value)


def test_one_bound_is_not_two():
    with pytest.raises(Faults, match="one bound"):
        parse_goal("p99=50ms,mean=5ms")


def test_failed_requests_are_bounded_even_where_nobody_says_so():
    goals = with_implied(parse_goals(["p50=5ms"]))
    assert [str(goal) for goal in goals] == ["p50=5ms", "errors=1%"]
    assert goals[1].implied
    stated = parse_goals(["errors=5%"])
    assert with_implied(stated) == stated
