"""From an interval to a word, from words to a case's verdict, and from cases to the headline."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.comparison.difference import VarianceSource, difference_from
from qs.comparison.measured import METRICS
from qs.comparison.verdict import ComparedCase, headline_of, holm, settled

THROUGHPUT, MEAN = METRICS[:2]


def told(metric, change: float, error: float, margin: float = 0.02):
    """A difference with a standard error and nearly normal noise."""
    return difference_from(
        metric, 100.0, 100.0 * (1 + change), (VarianceSource("noise", error**2, 1_000),), margin
    )


@pytest.mark.parametrize(
    ("metric", "change", "error", "verdict"),
    [
        (MEAN, 0.10, 0.01, "slower"),
        (MEAN, -0.10, 0.01, "faster"),
        (THROUGHPUT, -0.10, 0.01, "slower"),
        (THROUGHPUT, 0.10, 0.01, "faster"),
        (MEAN, 0.0, 0.005, "same"),
        (MEAN, 0.015, 0.0001, "same"),
        (MEAN, 0.0, 0.05, "cannot tell"),
        (MEAN, 0.03, 0.01, "cannot tell"),  # not nothing, but perhaps within the margin
        (MEAN, 0.0201, 0.0, "slower"),
        (MEAN, 0.10, 0.05, "cannot tell"),
    ],
)
def test_a_figures_verdict(metric, change, error, verdict):
    found = told(metric, change, error)
    assert found.verdict == verdict
    assert found.change == pytest.approx(change)
    assert (found.p < 0.05) == (verdict in ("slower", "faster"))


def test_the_interval_is_students():
    found = difference_from(MEAN, 100.0, 110.0, (VarianceSource("noise", 0.02**2, 4),), 0.02)
    # t of 97.5 % with 4 degrees of freedom is 2.776 (tables).
    assert math.log1p(found.high) - math.log(1.1) == pytest.approx(2.776 * 0.02, rel=1e-3)
    assert math.log(1.1) - math.log1p(found.low) == pytest.approx(2.776 * 0.02, rel=1e-3)


def test_sources_of_variance_add_up_by_welch_and_satterthwaite():
    parts = (VarianceSource("a", 1e-4, 4), VarianceSource("b", 1e-4, 4))
    found = difference_from(MEAN, 1.0, 1.0, parts, 0.02)
    # 8 degrees of freedom: t is 2.306.
    assert math.log1p(found.high) == pytest.approx(2.306 * math.sqrt(2e-4), rel=1e-3)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_only_raises_and_keeps_the_order(values):
    adjusted = holm(values)
    assert all(1.0 >= after >= before for before, after in zip(values, adjusted))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[at] for at in order] == sorted(adjusted)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


class Side:
    def __init__(self, open_loop: bool = False, scenario: str | None = None):
        self.open_loop, self.scenario = open_loop, scenario


def case(*differences, side: Side | None = None) -> ComparedCase:
    side = side or Side()
    return ComparedCase((), side, side, differences)


def verdicts(*cases: ComparedCase) -> tuple[list[str], str]:
    found = settled(cases)
    return [each.verdict for each in found], headline_of(found).verdict


SLOWER, FASTER = told(THROUGHPUT, -0.2, 0.01), told(MEAN, -0.2, 0.01)
SAME, UNKNOWN = told(THROUGHPUT, 0.0, 0.003), told(THROUGHPUT, 0.0, 0.2)


@pytest.mark.parametrize(
    ("cases", "each", "overall"),
    [
        ([case(SLOWER)], ["slower"], "slower"),
        ([case(SAME), case(SAME)], ["same", "same"], "same"),
        ([case(SAME), case(UNKNOWN)], ["same", "cannot tell"], "cannot tell"),
        ([case(SAME), case(SLOWER)], ["same", "slower"], "slower"),
        ([case(SAME, FASTER)], ["faster"], "faster"),
        ([case(SLOWER, FASTER)], ["mixed"], "mixed"),
        ([case(SLOWER), case(SAME, FASTER)], ["slower", "faster"], "mixed"),
        # The schedule sets an open loop's throughput: that it is the same says nothing.
        (
            [case(SAME, told(MEAN, 0.0, 0.2), side=Side(True, "Poisson"))],
            ["cannot tell"],
            "cannot tell",
        ),
        ([case(UNKNOWN, told(MEAN, 0.0, 0.001), side=Side(True, "Poisson"))], ["same"], "same"),
        ([case(SAME, side=Side(True, "Offline"))], ["same"], "same"),
    ],
)
def test_verdicts_of_cases_and_of_all(cases, each, overall):
    assert verdicts(*cases) == (each, overall)


def test_one_of_many_that_looks_slower_does_not_make_the_headline_of():
    """Each by itself has p = 4 %; the one that does among thirty is expected by chance."""
    doubtful = told(THROUGHPUT, math.expm1(-(math.log1p(0.02) + 2.06 * 0.01)), 0.01)
    assert doubtful.verdict == "slower" and 0.02 < doubtful.p < 0.05
    assert verdicts(case(doubtful)) == (["slower"], "slower")
    found = settled([case(doubtful), *[case(UNKNOWN)] * 29])
    assert headline_of(found).verdict == "cannot tell"
    assert [each.metric.name for each in found[0].alone] == ["throughput"]


def test_the_headline_counts_its_cases():
    found = headline_of(settled([case(SAME), case(SAME), case(SLOWER)]))
    assert found.counts == {"slower": 1, "same": 2}
    assert found.sentence() == "slower (1 slower, 2 same, of 3 cases)"
