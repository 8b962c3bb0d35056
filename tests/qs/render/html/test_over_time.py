"""What is drawn over time happened: no interval is shown as longer, or as surer, than it was."""

from __future__ import annotations

import pytest

from qs.render.html.over_time import bounds, series_points, time_series, warm_ups
from qs.result.story import NamedCase
from tests.qs.result import made


def case(intervals, wall_s, **more):
    """One case; intervals are (start s, answers, p99 ms or None)."""
    row = {
        "QPS": 1.0,
        "Wall Time": wall_s,
        "Intervals": [
            {
                "Start": start,
                "Completed": count,
                "Errors": 0,
                "P50 Latency": p99,
                "P99 Latency": p99,
            }
            for start, count, p99 in intervals
        ],
        **more,
    }
    return NamedCase("BS 1", made.small([row]).performance[0])


def drawn(*cases):
    return [(point["s"], point["to"], point["per_s"]) for point in series_points(cases)[0]]


STEADY = [(at / 10, 10, 1.0) for at in range(10)]


@pytest.mark.parametrize(
    ("intervals", "wall_s", "last"),
    [
        # One answer in the last 2.7 ms is no 368 queries/s.
        ([*STEADY, (1.0, 1, 5.0)], 1.0027, (0.9, 1.003, 107.1)),
        # A last interval of its own length, with answers enough, stands.
        ([*STEADY, (1.0, 10, 1.0)], 1.1, (1.0, 1.1, 100.0)),
        # Half the length is enough, if the answers are.
        ([*STEADY, (1.0, 6, 1.0)], 1.06, (1.0, 1.06, 100.0)),
        # The run went on without an answer: the last interval is as long as that.
        (STEADY, 1.9, (0.9, 1.9, 10.0)),
    ],
)
def test_a_last_interval_that_is_cut_short_joins_the_one_before(intervals, wall_s, last):
    assert drawn(case(intervals, wall_s))[-1] == pytest.approx(last, rel=1e-3)


def test_a_slow_models_intervals_hold_five_answers_each():
    """An answer every 1.5 s in buckets of 0.25 s is no 0, 0, 4, 0, 0, 4 queries/s."""
    intervals = [(at / 4, 1 if at % 6 == 0 else 0, 1500.0) for at in range(120)]
    rates = [rate for _, _, rate in drawn(case(intervals, 30.0))]
    assert len(rates) >= 3 and all(rate == pytest.approx(2 / 3, rel=0.3) for rate in rates)


def test_nothing_is_drawn_of_a_handful_of_answers():
    assert series_points([case([(0.0, 4, 1.0), (1.0, 4, 1.0)], 2.0)]) == ([], False)
    assert series_points([case([], 2.0)]) == ([], False)


def test_no_answer_is_lost_or_counted_twice():
    intervals = [(at / 7, at % 5, 1.0 + at) for at in range(70)]
    points, _ = series_points([case(intervals, 10.2)])
    answered = sum(point["per_s"] * (point["to"] - point["s"]) for point in points)
    assert answered == pytest.approx(sum(count for _, count, _ in intervals), rel=0.01)
    assert max(point["p99"] for point in points) == 70.0
    assert [point["to"] for point in points[:-1]] == [point["s"] for point in points[1:]]


def test_a_warm_up_takes_a_small_share_of_the_width():
    (shaded,) = warm_ups([case(STEADY, 1.0, **{"Warm-up": {"Wall Time": 30.0, "Completed": 9}})])
    assert shaded["from"] == -0.08 and shaded["seconds"] == 30.0


def test_the_offered_rate_and_the_bound_are_drawn():
    settings = {"target_qps": 200.0, "latency_slo_ms": 15.0}
    held = bounds([case(STEADY, 1.0, Scenario="server", Settings=settings)])
    assert [(each["of"], each["at"]) for each in held] == [("per_s", 200.0), ("ms", 15.0)]
    points, _ = series_points([case(STEADY, 1.0)])
    above, below = time_series(points, ["BS 1"], [], held)["vconcat"]
    assert above["layer"][-1]["encoding"]["text"]["value"] == "offered"
    assert below["layer"][-1]["encoding"]["text"]["value"] == "bound"
