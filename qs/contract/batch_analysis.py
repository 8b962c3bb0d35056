"""Which batch sizes are worth measuring on this machine: those that no other size beats in both
throughput and latency.

A quick analysis, not a measurement: a few inferences per size, one client, medians, bounded time.
The numbers decide which sizes are run, and are not reported as results.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

SIZE_BUDGET_S = 0.5
TOTAL_BUDGET_S = 30.0
MOST_UNASKED = 64
_LEAST_RUNS = 3
_LEAST_RUNS_SLOW = 2
_MOST_RUNS = 200


@dataclass(frozen=True)
class Point:
    batch_size: int
    latency_s: float

    @property
    def items_per_s(self) -> float:
        return self.batch_size / self.latency_s


def candidates(asked: Iterable[int], maximum: int | None) -> list[int]:
    """The workload's sizes and the powers of two up to the model's maximum, ascending. Without a
    maximum, up to the workload's largest; if that is 1, up to MOST_UNASKED.
    """
    asked = {size for size in asked if size >= 1}
    largest = maximum or max(asked, default=1)
    if maximum is None and largest == 1:  # a model file's own batch size: nobody has chosen it
        largest = MOST_UNASKED
    powers = {1 << exponent for exponent in range(largest.bit_length()) if 1 << exponent <= largest}
    return sorted(size for size in asked | powers if size <= largest)


def measure(
    sizes: Sequence[int],
    run_once: Callable[[int], None],
    clock: Callable[[], float] = time.perf_counter,
    total_budget_s: float = TOTAL_BUDGET_S,
) -> list[Point]:
    """Median latency of each size, in ascending order, until the next would exceed the budget.

    `run_once(size)` is one blocking inference; the first of each size is a warm-up and not counted,
    except for sizes that take over half a second. The largest sizes, which take longest, are left
    out; at least one is measured.
    """
    points: list[Point] = []
    begin = clock()
    for size in sorted(sizes):
        expected_s = points[-1].latency_s * size / points[-1].batch_size if points else 0.0
        # Slow sizes are run less often: they vary less, and their first run is hardly slower than
        # the next.
        slow = expected_s >= SIZE_BUDGET_S
        least = _LEAST_RUNS_SLOW if slow else _LEAST_RUNS
        if (
            points
            and clock() - begin + expected_s * (least if slow else least + 1) > total_budget_s
        ):
            break
        if not slow:
            run_once(size)
        times: list[float] = []
        while len(times) < least or (sum(times) < SIZE_BUDGET_S and len(times) < _MOST_RUNS):
            started = clock()
            run_once(size)
            times.append(clock() - started)
        points.append(Point(size, max(statistics.median(times), 1e-9)))
    return points


def unbeaten(points: Sequence[Point]) -> list[int]:
    """Batch sizes for which no other has both more throughput and less latency, ascending.

    Equal in one and better in the other counts as well; of two equal sizes the smaller stays.
    """
    kept = []
    best = 0.0
    for point in sorted(
        points, key=lambda point: (point.latency_s, -point.items_per_s, point.batch_size)
    ):
        if point.items_per_s > best:
            kept.append(point.batch_size)
            best = point.items_per_s
    return sorted(kept)
