"""Confidence intervals by batch means cover the truth as often as they say, also where neighbours
are correlated; and say n/a else.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval
from qs.engine.statistics.confidence import FEWEST, Evidence, half_width, independent, percentile_of

TICK_S = 0.1


def interval(number: int, values, failed: int = 0) -> Interval:
    histogram = Histogram()
    histogram.record(np.asarray(values, np.int64))
    filled = np.flatnonzero(histogram.counts)
    return Interval(number, filled, histogram.counts[filled], failed)


def evidence_of(per_interval) -> Evidence:
    evidence = Evidence(TICK_S)
    evidence.add(
        (0, interval(number, values)) for number, values in enumerate(per_interval) if len(values)
    )
    return evidence


def correlated(random, count: int, memory: float) -> np.ndarray:
    """A series with mean 0 whose neighbours correlate by `memory` (AR(1)), begun in its stationary
    state.
    """
    noise = random.standard_normal(count) * np.sqrt(1 - memory * memory)
    series = np.empty(count)
    series[0] = random.standard_normal()
    for at in range(1, count):
        series[at] = memory * series[at - 1] + noise[at]
    return series


def coverage(memory: float, runs: int = 100, intervals: int = 400) -> tuple[float, float, int]:
    """How often the intervals cover the true rate: by batch means, by treating every interval as
    independent; and how often n/a.
    """
    random = np.random.Generator(np.random.PCG64(7))
    covered = naive = missing = 0
    for _ in range(runs):
        counts = np.maximum(np.rint(200 + 20 * correlated(random, intervals, memory)), 1).astype(
            int
        )
        evidence = Evidence(TICK_S, percentiles=())
        evidence.add(
            (0, Interval(number, np.array([500]), np.array([count]), 0))
            for number, count in enumerate(counts.tolist())
        )
        throughput = evidence.confidence(intervals * TICK_S).throughput
        naive += abs(counts.mean() - 200) <= half_width(counts.astype(float))
        if throughput.half_width is None:
            missing += 1
        else:
            covered += abs(throughput.value - 2_000) <= throughput.half_width
    return covered / max(runs - missing, 1), naive / runs, missing


def test_independent_intervals_are_covered_as_often_as_they_say():
    covered, naive, missing = coverage(0.0)
    assert 0.89 <= covered <= 1.0 and naive >= 0.89
    assert missing <= 2


def test_correlated_intervals_are_covered_where_the_plain_interval_fails():
    covered, naive, missing = coverage(0.8)
    assert naive < 0.6
    assert covered > 0.85
    assert missing < 30


def test_a_correlated_series_is_found_out():
    random = np.random.Generator(np.random.PCG64(1))
    assert independent(random.standard_normal(50))
    assert not independent(correlated(random, 50, 0.9))
    assert not independent(np.arange(20.0))  # a drift
    assert independent(
        np.array([1.0, 2.0] * 10)
    )  # neighbours that differ more than chance: the interval is too wide, not too narrow
    assert independent(np.full(20, 3.0))


def test_a_drifting_run_has_no_interval():
    found = evidence_of(
        [np.full(100 + number, 1_000_000 + 5_000 * number) for number in range(100)]
    ).confidence(10.0)
    assert found.throughput.half_width is None and "correlated" in found.throughput.why
    assert found.response[50].half_width is None
    assert found.throughput.value == pytest.approx(1_495)


@pytest.mark.parametrize("intervals", [0, 1, FEWEST - 1])
def test_too_few_intervals_give_none(intervals):
    found = evidence_of([[MS] * 1_000] * intervals).confidence(intervals * TICK_S)
    assert found.throughput.half_width is None and found.throughput.why
    assert (found.throughput.value is None) == (intervals == 0)


MS = 1_000_000


def test_percentiles_need_enough_requests_in_a_batch():
    random = np.random.Generator(np.random.PCG64(2))
    values = [
        random.exponential(MS, 100).astype(int) for _ in range(20)
    ]  # 2,000 requests: p90 has batches, p99 (299 each) has not
    found = evidence_of(values).confidence(2.0)
    assert found.response[50].half_width and found.response[90].half_width
    assert found.response[99].half_width is None and "299" in found.response[99].why
    assert found.response[99].value == percentile_of([interval(0, np.concatenate(values))], 99)


def test_percentiles_are_covered_as_often_as_they_say():
    random = np.random.Generator(np.random.PCG64(3))
    true_p90, covered = -np.log(0.1) * MS, 0
    for _ in range(100):
        estimate = (
            evidence_of(random.exponential(MS, (40, 100)).astype(int)).confidence(4.0).response[90]
        )
        covered += (
            estimate.half_width is not None
            and abs(estimate.value - true_p90) <= estimate.half_width
        )
    assert covered >= 85


def test_equal_values_are_known_to_a_histograms_bin():
    estimate = evidence_of([[10 * MS] * 400] * 12).confidence(1.2).response[99]
    assert 0 < estimate.half_width <= 10 * MS * 0.001


@given(st.lists(st.integers(0, 40), min_size=1, max_size=400))
def test_merging_neighbours_loses_nothing(counts):
    evidence = evidence_of([[MS] * count for count in counts])
    throughput = evidence.confidence(len(counts) * TICK_S).throughput
    if len(counts) <= Evidence.LIMIT:
        assert throughput.value == pytest.approx(sum(counts) / (len(counts) * TICK_S))


def test_memory_is_bounded_however_long_the_run():
    evidence = evidence_of([[MS]] * 5_000)
    cells, length_s = evidence._log.cells(500.0)
    assert len(cells) <= Evidence.LIMIT and length_s == pytest.approx(6.4)
    assert sum(int(cell.counts.sum()) for cell in cells) == 5_000 - 5_000 % 64


def test_what_one_worker_has_not_reported_is_not_used():
    evidence = Evidence(TICK_S)
    evidence.add([(0, interval(number, [MS])) for number in range(20)])
    assert evidence.complete_s(workers=2) == 0.0
    evidence.add([(1, interval(number, [MS])) for number in range(5)])
    assert evidence.complete_s(workers=2) == pytest.approx(0.5)
