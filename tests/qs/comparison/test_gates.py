"""Whether what was measured decides a condition, and what would."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.base.errors import UserError
from qs.comparison.comparing import compare_results
from qs.comparison.difference import Difference, VarianceSource, difference_from
from qs.comparison.gate_words import gate_lines
from qs.comparison.gates import State, judge, met
from qs.comparison.measured import METRICS
from qs.comparison.sides import from_path
from qs.comparison.verdict import ComparedCase
from qs.gates.grammar import Change, parse_changes
from tests.qs.comparison.synthetic import Drawn, write_result

THROUGHPUT, MEAN, P50, _, P99, P999 = METRICS
MARGIN = 0.02
HOLDS, DOES_NOT, UNCLEAR = State.HOLDS, State.DOES_NOT, State.UNCLEAR


class Side:
    """What a gate looks at of one side: how long its run was."""

    length_s = 10.0
    open_loop, scenario = False, None


def told(metric, change: float, within: float, between: float = 0.0) -> Difference:
    """A difference with a standard error from within the runs, and one between them."""
    sources = (
        VarianceSource("within A", within**2 / 2, 1_000),
        VarianceSource("within B", within**2 / 2, 1_000),
        VarianceSource("between runs", between**2, 1_000),
    )
    return difference_from(metric, 100.0, 100.0 * (1 + change), sources, MARGIN)


def case(*differences: Difference) -> ComparedCase:
    return ComparedCase((), Side(), Side(), differences)


def judged(condition: str, *cases: ComparedCase):
    (found,) = judge(parse_changes([condition], MARGIN), cases, MARGIN)
    return found


UNKNOWN = Difference(P99, 1.0, 1.2, 0.2, why="A has 300 queries", needs_s=33.0)
UNREPORTED = Difference(P999, None, None, why="A has 300 queries", unreported=True, needs_s=300.0)


@pytest.mark.parametrize(
    ("condition", "differences", "state"),
    [
        ("slower:5%", [told(MEAN, 0.10, 0.01)], HOLDS),
        ("slower:5%", [told(MEAN, 0.0, 0.01)], DOES_NOT),
        ("slower:5%", [told(MEAN, 0.0, 0.05)], UNCLEAR),  # 5 % slower is in the interval
        ("slower:5%", [told(MEAN, -0.10, 0.05)], DOES_NOT),
        ("slower:5%", [told(MEAN, 0.04, 0.001)], DOES_NOT),  # slower, by less than 5 %
        ("slower:5%", [told(MEAN, 0.06, 0.001)], HOLDS),
        ("slower:5%", [told(MEAN, 0.06, 0.03)], UNCLEAR),  # by more than 5 %, if it is slower
        ("slower:5%", [told(THROUGHPUT, -0.10, 0.01)], HOLDS),
        ("slower:5%", [told(THROUGHPUT, 0.10, 0.01)], DOES_NOT),
        ("slower:5%", [told(THROUGHPUT, -0.03, 0.02)], UNCLEAR),
        ("slower:5%", [UNKNOWN], UNCLEAR),
        # One figure that holds is enough, and one that is unclear keeps the rest from passing.
        ("slower:5%", [told(MEAN, 0.2, 0.01), UNKNOWN], HOLDS),
        ("slower:5%", [told(MEAN, 0.0, 0.01), UNKNOWN], UNCLEAR),
        ("slower:5%", [told(MEAN, 0.0, 0.01), UNREPORTED], DOES_NOT),
        # A condition on one figure looks at no other.
        ("mean.slower:5%", [told(MEAN, 0.0, 0.01), told(P50, 0.5, 0.01), UNKNOWN], DOES_NOT),
        ("p50.slower:5%", [told(MEAN, 0.0, 0.01), told(P50, 0.5, 0.01)], HOLDS),
        ("p99.slower:5%", [told(MEAN, 0.0, 0.01), UNKNOWN], UNCLEAR),
        ("p99.9.slower:5%", [told(MEAN, 0.0, 0.01), UNREPORTED], UNCLEAR),
        ("p90.slower:5%", [told(MEAN, 0.0, 0.01)], UNCLEAR),  # nobody measured it
    ],
)
def test_whether_a_condition_is_decided(condition, differences, state):
    assert judged(condition, case(*differences)).state is state


def test_a_figure_must_stand_beside_those_that_its_condition_is_about():
    """p is 1 % for the mean alone: not enough among thirty that the condition is about."""
    doubtful = told(MEAN, 0.02 + 0.026 * 1.02, 0.01)
    assert 0.005 < doubtful.p < 0.015
    others = [told(P50, 0.0, 0.2)] * 29
    assert judged("slower:4%", case(doubtful, *others)).state is UNCLEAR
    assert judged("mean.slower:4%", case(doubtful, *others)).state is HOLDS


@settings(max_examples=30)
@given(st.floats(-0.3, 0.3), st.floats(0.001, 0.2), st.floats(0.02, 0.3))
def test_a_gate_that_passes_has_excluded_so_large_a_slowdown(change, error, share):
    each = told(MEAN, change, error)
    found = judged(f"slower:{share * 100}%", case(each))
    assert (found.state is DOES_NOT) == (each.high < found.condition.share)
    if found.state is HOLDS:
        assert each.low > MARGIN and each.change >= found.condition.share


@pytest.mark.parametrize(
    ("difference", "low", "high"),
    [
        # 4.88 % of log-ratio hold 1.96 errors at 24.9 ms: the error must fall by half, in 4 times
        # the 10 s.
        (told(MEAN, 0.0, 0.0498), 40.0, 49.0),
        (told(MEAN, 0.0, 0.0, 0.05), None, None),  # what differs between runs does not average out
        (told(MEAN, 0.0499, 0.03), None, None),  # as near to 5 % as this, nobody waits for it
        (UNKNOWN, 33.0, 33.0),
    ],
)
def test_how_long_to_measure(difference, low, high):
    needs = judged("slower:5%", case(difference)).needs_s
    assert needs is None if low is None else low <= needs <= high


def test_the_slowest_figure_says_how_long():
    found = judged("slower:5%", case(told(MEAN, 0.0, 0.0498)), case(UNKNOWN))
    assert found.needs_s > 39
    assert judged("slower:5%", case(told(MEAN, 0.0, 0.0, 0.1)), case(UNKNOWN)).needs_s is None


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_result(tmp_path_factory.mktemp("a"), 1, [Drawn(seconds=3.0, interval_s=0.15)])


def test_a_condition_holds_where_the_difference_is_real_and_large_enough(tmp_path, path):
    slow = write_result(tmp_path, 3, [Drawn(seconds=3.0, interval_s=0.15, base_ns=2.6e6)])
    sides = [from_path(str(each)) for each in (path, slow)]
    cases = compare_results(sides).cases
    conditions = [Change(0.2, "mean"), Change(0.2, "throughput")]
    assert met(judge(conditions, cases, MARGIN))[0].startswith("mean.slower:20%: BS 1")
    assert met(judge([Change(0.6, "mean")], cases, MARGIN)) == []
    back = compare_results([*reversed(sides)]).cases
    assert met(judge([Change(0.05)], back, MARGIN)) == []


def test_what_is_unclear_is_said_with_what_decides_it(tmp_path, path):
    again = write_result(tmp_path, 2, [Drawn(seconds=3.0, interval_s=0.15)])
    found = compare_results([from_path(str(each)) for each in (path, again)])
    unclear = judge(parse_changes(["p99.slower:12%,mean.slower:90%"], MARGIN), found.cases, MARGIN)
    lines = gate_lines(unclear, found)
    assert lines[0] == "--fail_if p99.slower:12% cannot tell:"
    assert "BS 1, closed loop" in lines[1] and "p99 " in lines[1]
    assert any(line.startswith("  to decide, measure each for about") for line in lines), lines
    assert any("qs run --duration" in line for line in lines), lines
    assert not any("mean" in line for line in lines)


class Titled(ComparedCase):
    title = "BS 1"


@pytest.mark.parametrize(
    ("source", "cure"),
    [
        ("other load", "other programs used the machine's CPUs"),
        ("drift", "the speed drifted"),
        ("between runs", "two runs of the same thing differ by too much (assumed)"),
    ],
)
def test_where_no_length_would_do_the_cause_is_named(source, cure):
    lasting = VarianceSource(source, 0.05, 4)
    sources = (VarianceSource("within A", 0.5, 4), VarianceSource("between runs", 0.0002, 4))
    each = difference_from(MEAN, 100.0, 110.0, (*sources, lasting), MARGIN)
    found = SimpleNamespace(known=SimpleNamespace(origin="assumed"), sides=())
    (last,) = gate_lines([judged("slower:5%", Titled((), Side(), Side(), (each,)))], found)[2:]
    assert last.startswith(f"  measuring longer does not decide it: {cure}")


@pytest.mark.parametrize(
    ("texts", "conditions"),
    [
        (["slower:5%"], [Change(0.05)]),
        (
            ["p99.slower:10%, throughput.slower:3%"],
            [Change(0.1, "p99"), Change(0.03, "throughput")],
        ),
        (["p99.9.slower:150%"], [Change(1.5, "p99.9")]),
        (["slower:0.05", "Mean.Slower: 4 %"], [Change(0.05), Change(0.04, "mean")]),
    ],
)
def test_conditions(texts, conditions):
    assert list(parse_changes(texts, 0.02)) == conditions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slower", "allowed: slower:5%"),
        ("faster:5%", "allowed: slower:5%"),
        ("p98.slower:5%", "did you mean 'p9"),
        ("slower:5", "such as 5% or 0.05"),
        ("slower:-5%", "such as 5% or 0.05"),
        ("slower:x%", "allowed"),
        ("slower:1%", "--margin 1%"),
        ("", "allowed"),
    ],
)
def test_a_condition_that_cannot_be_is_refused(text, said):
    with pytest.raises(UserError, match="--fail_if") as refused:
        parse_changes([text], 0.02)
    assert said in str(refused.value)
