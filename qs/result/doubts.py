"""Checks the numbers that a backend measured itself: some cannot all be true, others do not mean
what their name says.

This is arithmetic on what was stated; nothing is measured here. A contradiction makes a row
INVALID, any other doubt is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qs.base.words import counted, number
from qs.result.columns import columns
from qs.result.part import Word

# By how large a share the queries in flight may differ from the clients.
TOLERATED = 0.1
# Vendors round to 2 decimals.
ROUNDING = 0.01
# A percentile of as many samples as this, or fewer, is their maximum.
TOO_FEW_FOR_P99 = 100
_ASCENDING = tuple(
    column.key
    for column in columns("min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms")
)
_QPS, _AVERAGE, _P99, _MAXIMUM = (
    column.key for column in columns("items_per_s", "mean_ms", "p99_ms", "max_ms")
)


class Code(Word):
    """What is wrong, for programs."""

    LITTLES_LAW = "littles-law"
    P99_UNDER_AVERAGE = "p99-under-average"
    OUT_OF_ORDER = "out-of-order"
    P99_IS_MAXIMUM = "p99-is-maximum"


@dataclass(frozen=True)
class Doubt:
    """One doubt about the numbers."""

    code: Code
    text: str
    # The numbers cannot all be true, whatever was measured.
    contradiction: bool = False


def in_flight(numbers: Mapping[str, float], batch_size: int) -> float | None:
    """Little's law: queries in flight on average = queries per second x average latency. None
    unless both are known.
    """
    if _QPS not in numbers or _AVERAGE not in numbers:
        return None
    return numbers[_QPS] / batch_size * numbers[_AVERAGE] / 1e3


def doubts(
    numbers: Mapping[str, float], batch_size: int, clients: int, iterations: int | None
) -> list[Doubt]:
    """What is wrong with the numbers of a row, which are under their published names.

    clients      those that the workload asks for
    iterations   queries that the workload asks of each client; a benchmark that does not state how
                 many it made is taken to have made as many
    """
    return [
        *_contradictions(numbers),
        *_wrong_load(numbers, batch_size, clients),
        *_no_percentile(numbers, iterations),
    ]


def _contradictions(numbers: Mapping[str, float]) -> Iterator[Doubt]:
    average, p99 = numbers.get(_AVERAGE), numbers.get(_P99)
    if average is not None and p99 is not None and p99 < average - ROUNDING:
        text = (
            f"{_P99} {_exact(p99)} ms is under {_AVERAGE} {_exact(average)} ms: "
            "they cannot come from one measurement"
        )
        yield Doubt(Code.P99_UNDER_AVERAGE, text, True)
    known = [name for name in _ASCENDING if name in numbers]
    for lower, upper in zip(known, known[1:]):
        if numbers[lower] > numbers[upper] + ROUNDING:
            text = (
                f"{lower} {_exact(numbers[lower])} ms is above {upper} {_exact(numbers[upper])} ms"
            )
            yield Doubt(Code.OUT_OF_ORDER, text, True)


def _wrong_load(numbers: Mapping[str, float], batch_size: int, clients: int) -> Iterator[Doubt]:
    flying = in_flight(numbers, batch_size)
    if flying is not None and abs(flying - clients) > TOLERATED * clients:
        text = (
            f"{_QPS} x {_AVERAGE} means {number(flying, 3)} queries in flight (Little's law), "
            f"but the workload has {counted(clients, 'client')}: the backend used another "
            "number, or what it calls latency or QPS is something else"
        )
        yield Doubt(Code.LITTLES_LAW, text)


def _no_percentile(numbers: Mapping[str, float], iterations: int | None) -> Iterator[Doubt]:
    p99 = numbers.get(_P99)
    if p99 is None:
        return
    stated = numbers.get("Completed") or numbers.get("Iterations")
    count = stated or iterations
    if count is not None and count <= TOO_FEW_FOR_P99:
        text = f"{_P99} of {counted(int(count), 'sample')} is their maximum, not a percentile"
        if stated is None:
            text += " (the backend does not state how many it took; the workload asks for these)"
        yield Doubt(Code.P99_IS_MAXIMUM, text)
    elif p99 == numbers.get(_MAXIMUM):
        text = f"{_P99} {_exact(p99)} ms is the maximum, not a percentile"
        yield Doubt(Code.P99_IS_MAXIMUM, text)


def _exact(value: float) -> str:
    return number(value, 6)
