"""What is known of a difference, and why nothing is: too little measured, noise as long as the run,
logs that are gone.
"""

from __future__ import annotations

import numpy as np
import pytest

from qs.comparison.difference import differences_of
from qs.comparison.measured import METRICS, comparable_metrics, runs_of, same_arrivals
from qs.comparison.noise import ASSUMED_SPREAD, KnownSpread, between_runs
from qs.comparison.sides import Side, from_path
from qs.result.keys import key_of
from qs.result.result import Result
from tests.qs.comparison.synthetic import Drawn, Noise, write_result


def of(side: Side):
    return runs_of(side.histogram, side.rows)


def found(a: Side, b: Side, known: KnownSpread = ASSUMED_SPREAD, margin: float = 0.02):
    one, other = of(a), of(b)
    rng = np.random.default_rng(0)
    return {
        each.metric.name: each
        for each in differences_of(one, other, comparable_metrics(one, other), margin, known, rng)
    }


def side(tmp_path, seed: int, drawn: Drawn = Drawn(), **changes) -> Side:
    return from_path(str(write_result(tmp_path / str(seed), seed, [drawn], **changes)))


def changed(given: Side, **keys) -> Side:
    """The same with other keys in its row."""
    result = given.result.to_dict()
    result["Performance"][0] |= keys
    return Side(given.name, Result.model_validate(result), given.histogram)


def test_every_figure_has_an_interval_around_its_difference(tmp_path):
    told = found(side(tmp_path, 1), side(tmp_path, 2, Drawn(base_ns=2.2e6)))
    assert list(told) == [metric.name for metric in METRICS]
    for name in ("throughput", "mean", "p50", "p90", "p99"):
        each = told[name]
        assert each.low < each.change < each.high
        assert each.low < (1 / 1.1 - 1 if name == "throughput" else 0.1) < each.high
    assert told["throughput"].a == pytest.approx(500, rel=0.05)
    assert told["mean"].b == pytest.approx(2.2, rel=0.05)
    assert told["p99.9"].verdict == "cannot tell"
    assert "p99.9 needs 10,000" in told["p99.9"].why


def test_items_per_second_count_the_items_of_a_batch(tmp_path):
    told = found(side(tmp_path, 1, Drawn(batch_size=8)), side(tmp_path, 2, Drawn(batch_size=8)))
    assert told["throughput"].a == pytest.approx(8 * 500, rel=0.05)


def test_too_short_a_run_cannot_be_told(tmp_path):
    told = found(side(tmp_path, 1, Drawn(seconds=1.0)), side(tmp_path, 2))
    assert {each.verdict for each in told.values()} == {"cannot tell"}
    assert "A was measured for" in told["throughput"].why
    assert told["throughput"].change is not None


def test_noise_as_long_as_the_run_cannot_be_told(tmp_path):
    drifting = Noise(white=0.01, slow=0.2, lasts=50_000.0, spikes=0.0)
    told = found(side(tmp_path, 1, Drawn(noise=drifting)), side(tmp_path, 2))
    assert told["mean"].verdict == "cannot tell"


def test_two_results_are_compared_alike_whichever_comes_first(tmp_path):
    a, b = side(tmp_path, 1), side(tmp_path, 2, Drawn(base_ns=2.2e6))
    there, back = found(a, b), found(b, a)
    for name in ("throughput", "mean", "p50"):
        assert {there[name].verdict, back[name].verdict} == {"slower", "faster"}
        assert there[name].change == pytest.approx(1 / (1 + back[name].change) - 1)


def test_a_log_that_is_gone_leaves_what_the_row_states(tmp_path):
    a, b = side(tmp_path, 1), side(tmp_path, 2, Drawn(base_ns=2.4e6))
    half = a.rows[0].queries_per_s * 0.01
    stated = {"Level": 0.95, "Queries Per Second": {"Half Width": half, "Batches": 20, "Why": None}}
    bare = Side("A", changed(a, Confidence=stated).result, lambda name: None)
    told = found(bare, b)
    assert told["throughput"].verdict == "slower"
    assert told["throughput"].low is not None
    assert told["p50"].verdict == "cannot tell"
    assert "is not there any more" in told["p50"].why and told["p50"].log_missing
    assert told["p50"].change == pytest.approx(0.2, abs=0.05)


def test_a_log_of_another_run_is_not_taken_for_this_ones(tmp_path):
    a, b = side(tmp_path, 1), side(tmp_path, 2)
    swapped = Side("A", a.result, b.histogram)
    told = found(swapped, b)
    assert "is of another run" in told["mean"].why


def test_a_backends_own_numbers_have_no_interval(tmp_path):
    own = changed(side(tmp_path, 1), Mode="vendor", Histogram=None)
    told = found(own, own)
    assert {each.verdict for each in told.values()} == {"cannot tell"}
    assert "timed itself" in told["throughput"].why
    assert ("Mode", '"vendor"') in key_of(own.rows[0])


def test_offline_is_compared_by_throughput_alone(tmp_path):
    offline = changed(side(tmp_path, 1), Scenario="Offline")
    assert list(found(offline, offline)) == ["throughput"]


def test_two_overloads_have_no_response_times_to_compare(tmp_path):
    both = [
        changed(side(tmp_path, seed), Scenario="Poisson", **{"Warning Codes": ["overload"]})
        for seed in (1, 2)
    ]
    told = found(*both)
    assert "more than they could answer" in told["mean"].why
    assert told["throughput"].low is not None


def test_a_row_without_figures_is_said(tmp_path):
    failed = changed(
        side(tmp_path, 1), QPS=None, Histogram=None, **{"AVG Latency": None, "P99 Latency": None}
    )
    told = found(failed, side(tmp_path, 2))
    assert told["throughput"].why == "A has no such figure"


def test_what_the_schedule_does_to_both_is_no_noise(tmp_path):
    """The same arrivals, whose load comes and goes: apart, the runs seem to vary; together they do
    not.
    """
    waves = Noise(white=0.02, slow=0.25, lasts=600.0, spikes=0.0, run=0.0)
    a = side(tmp_path, 1, Drawn(noise=waves))
    same = {"Scenario": "Stages", "Settings": {"stages": [[8, 100, False]]}}
    apart, together = changed(a, Scenario="Poisson", Seed=1), changed(a, **same)
    other = changed(a, Scenario="Poisson", Seed=2)
    assert not same_arrivals(of(apart), of(other))
    assert same_arrivals(of(together), of(together))
    wide, narrow = found(apart, other)["mean"], found(together, together)["mean"]
    assert narrow.low == pytest.approx(-narrow.high, rel=0.1)
    if wide.low is not None:
        assert narrow.high < wide.high
    else:
        assert wide.why


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"Scenario": "Poisson", "Seed": 3}, {"Scenario": "Poisson", "Seed": 3}, True),
        ({"Scenario": "Poisson", "Seed": 3}, {"Scenario": "Poisson", "Seed": 4}, False),
        ({"Scenario": "Poisson", "Seed": None}, {"Scenario": "Poisson", "Seed": None}, False),
        ({"Scenario": "Replay"}, {"Scenario": "Replay"}, True),
        ({"Scenario": "closed loop"}, {"Scenario": "closed loop"}, False),
    ],
)
def test_which_arrivals_are_the_same(tmp_path, a, b, expected):
    given = side(tmp_path, 1)
    assert same_arrivals(of(changed(given, **a)), of(changed(given, **b))) is expected


def test_the_spread_between_runs_is_the_assumed_one_until_repeats_show_another():
    throughput, p99 = METRICS[0], METRICS[4]
    one = (np.array([1.0]), 0.0)
    assert between_runs(ASSUMED_SPREAD, throughput, [one, one]).variance == pytest.approx(0.01**2)
    assert between_runs(ASSUMED_SPREAD, p99, [one, one]).variance > 0.01**2
    assert between_runs(KnownSpread(0.003, ""), throughput, [one, one]).variance == pytest.approx(
        0.003**2
    )
    rng = np.random.default_rng(1)
    many = (rng.normal(0.0, 0.05, 400), 0.0)
    assert between_runs(ASSUMED_SPREAD, throughput, [many, many]).variance == pytest.approx(
        many[0].var(ddof=1), rel=0.02
    )
    assert between_runs(ASSUMED_SPREAD, throughput, [many, many]).freedom == pytest.approx(4 + 798)
    # What varies within the runs is not counted once more between them.
    assert between_runs(ASSUMED_SPREAD, throughput, [(many[0], 0.05**2)] * 2).variance < 0.01**2


def test_several_rows_of_one_case_are_repeats(tmp_path):
    drawn = Drawn(seconds=3.0, interval_s=0.15)
    path = write_result(tmp_path, 1, [drawn])
    given = from_path(str(path))
    twice = runs_of(given.histogram, [given.rows[0], given.rows[0]])
    assert twice.runs == 2
    assert twice.series.completed == 2 * of(given).series.completed


def test_logs_of_one_row_are_repeats(tmp_path):
    given = side(tmp_path, 1, Drawn(seconds=3.0, interval_s=0.15, repeats=3))
    assert of(given).runs == 3
