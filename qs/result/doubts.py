"""Numbers that a backend measured of itself and that cannot all be true, or do not mean what their
name says.

Only arithmetic on what was stated: nothing here measures. A contradiction makes a row INVALID, a
doubt is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qs.base.words import number

LITTLES_LAW, P99_UNDER_AVERAGE, OUT_OF_ORDER, P99_IS_MAXIMUM = (
    "littles-law",
    "p99-under-average",
    "out-of-order",
    "p99-is-maximum",
)
_OFF = 0.1  # share by which the queries in flight may differ from the clients
_ROUNDING = 0.01  # vendors round to 2 decimals
_ORDER = (
    "Min Latency",
    "P50 Latency",
    "P90 Latency",
    "P95 Latency",
    "P99 Latency",
    "P99.9 Latency",
    "Max Latency",
)


@dataclass(frozen=True)
class Doubt:
    """`contradiction`: the numbers cannot all be true, whatever was measured."""

    code: str
    text: str
    contradiction: bool = False


def in_flight(numbers: Mapping[str, float], batch_size: int) -> float | None:
    """Little's law: queries in flight on average = queries per second x average latency. None where
    one is not known.
    """
    if "QPS" not in numbers or "AVG Latency" not in numbers:
        return None
    return numbers["QPS"] / batch_size * numbers["AVG Latency"] / 1e3


def doubts(
    numbers: Mapping[str, float], batch_size: int, clients: int, iterations: int | None
) -> list[Doubt]:
    """What is wrong with a row's numbers.

    clients      those that the workload asks for
    iterations   queries that the workload asks of each; a benchmark that does not say how many it
                 made is taken to have made these
    """
    found = []
    average, p99 = numbers.get("AVG Latency"), numbers.get("P99 Latency")
    if average is not None and p99 is not None and p99 < average - _ROUNDING:
        text = f"P99 Latency {number(p99, 6)} ms is under AVG Latency {number(average, 6)} ms"
        found.append(Doubt(P99_UNDER_AVERAGE, f"{text}: they cannot be of one measurement", True))
    known = [name for name in _ORDER if name in numbers]
    for lower, upper in zip(known, known[1:]):
        if numbers[lower] > numbers[upper] + _ROUNDING:
            text = f"{lower} {number(numbers[lower], 6)} ms is above {upper} {number(numbers[upper], 6)} ms"
            found.append(Doubt(OUT_OF_ORDER, text, True))
    flying = in_flight(numbers, batch_size)
    if flying is not None and abs(flying - clients) > _OFF * clients:
        text = (
            f"QPS x AVG Latency means {number(flying)} queries in flight (Little's law), the workload has {clients} "
            f"client{'s' if clients > 1 else ''}: the backend used another number, or what it calls latency or QPS is something else"
        )
        found.append(Doubt(LITTLES_LAW, text))
    count = numbers.get("Completed") or numbers.get("Iterations") or iterations
    if p99 is not None and count is not None and count <= 100:
        stated = "Completed" in numbers or "Iterations" in numbers
        text = f"P99 Latency of {int(count)} samples is their maximum, no percentile"
        how = (
            ""
            if stated
            else " (the backend does not say how many it took; these are the workload's iterations)"
        )
        found.append(Doubt(P99_IS_MAXIMUM, text + how))
    elif p99 is not None and p99 == numbers.get("Max Latency"):
        found.append(
            Doubt(P99_IS_MAXIMUM, f"P99 Latency {number(p99, 6)} ms is the maximum, no percentile")
        )
    return found
