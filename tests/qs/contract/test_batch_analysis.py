from __future__ import annotations

import pytest

from qs.contract import batch_analysis as analysis


@pytest.mark.parametrize(
    ("latencies", "kept"),
    [
        # items/s 10, 20, 25: more throughput for more latency, all of them are worth running
        ({1: 0.1, 2: 0.1001, 4: 0.16}, [1, 2, 4]),
        # items/s 10, 9.5, 12: 2 is slower than 1 in both
        ({1: 0.1, 2: 0.21, 4: 0.33}, [1, 4]),
        # a larger batch that even answers sooner beats the smaller ones
        ({1: 0.2, 2: 0.2, 4: 0.1}, [4]),
        # same throughput, more latency: beaten
        ({1: 0.1, 2: 0.2, 4: 0.4}, [1]),
        ({8: 1.0}, [8]),
        ({}, []),
    ],
)
def test_unbeaten(latencies, kept):
    points = [analysis.Point(size, latency) for size, latency in latencies.items()]
    assert analysis.unbeaten(points) == kept


@pytest.mark.parametrize(
    ("asked", "maximum", "expected"),
    [
        ([1, 4, 24], 64, [1, 2, 4, 8, 16, 24, 32, 64]),
        ([3], None, [1, 2, 3]),
        ([128, 5], 8, [1, 2, 4, 5, 8]),
        ([], 4, [1, 2, 4]),
    ],
)
def test_candidates(asked, maximum, expected):
    assert analysis.candidates(asked, maximum) == expected


class FakeMachine:
    """Time passes as inferences run: one costs `fixed` plus `each` per item."""

    def __init__(self, fixed, each):
        self.now, self.fixed, self.each, self.runs = 0.0, fixed, each, []

    def clock(self):
        return self.now

    def run_once(self, size):
        self.runs.append(size)
        self.now += self.fixed + self.each * size


def test_measure_takes_the_median_without_the_first():
    machine = FakeMachine(0.1, 0.05)
    points = analysis.measure([1, 2, 4], machine.run_once, machine.clock)
    assert [point.batch_size for point in points] == [1, 2, 4]
    assert [point.latency_s for point in points] == pytest.approx([0.15, 0.2, 0.3])
    assert machine.runs.count(4) == 4


def test_measure_keeps_to_its_budget_and_drops_the_largest():
    machine = FakeMachine(0.0, 1.0)
    points = analysis.measure([1, 2, 4, 8, 16], machine.run_once, machine.clock, total_budget_s=30)
    assert [point.batch_size for point in points] == [1, 2, 4]
    assert machine.now <= 30


def test_measure_runs_at_least_one_size():
    machine = FakeMachine(100.0, 0.0)
    assert len(analysis.measure([1, 2], machine.run_once, machine.clock)) == 1


def test_slow_sizes_are_run_twice_and_no_more():
    machine = FakeMachine(0.0, 0.3)
    analysis.measure([1, 2], machine.run_once, machine.clock)
    assert machine.runs == [1, 1, 1, 1, 2, 2]


def test_a_model_file_whose_batch_size_nobody_chose_is_tried_beyond_1():
    assert analysis.candidates([1], None) == [1, 2, 4, 8, 16, 32, 64]
    assert analysis.candidates([1], 4) == [1, 2, 4]
    assert analysis.candidates([1, 6], None) == [1, 2, 4, 6]
