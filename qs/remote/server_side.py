"""What the readings of a server come to: its own times beside the client's, and its metrics.

The mean response time is the sum of

    late                        issued - due (open loop)
    waiting for a connection    sent - issued
    network and client          (last byte - sent) - the server's time of a request
    queue, compute, ...         as the server counts them

of which the first three are the client's stamps, and the others means over all requests that the
server answered. A server counts the requests of all its clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qs.base.storable import text
from qs.base.words import number
from qs.remote.counting import Counted, steps, total
from qs.remote.metrics import Page, Series
from qs.remote.sampler import Readings
from qs.remote.statistics import COMPUTE, Means, Statistics, means_of
from qs.result.part import Number
from qs.result.server_entry import (
    MetricSeriesEntry,
    ServerSeriesEntry,
    StatisticsEntry,
    TimePartEntry,
)

NS = 1e9
DIGITS = 5
LATE, WAIT, NETWORK = "late", "waiting for a connection", "network and client"
QUEUE, OTHER = "queue", "other in the server"
MOST_POINTS, MOST_OF_METRIC = 300, 120  # of a series in the result


@dataclass(frozen=True)
class ClientTimes:
    """Means of the answered requests, as the client stamped them; ms."""

    response: float  # last byte - due
    late: float  # issued - due
    wait: float  # sent - issued
    answered: float  # last byte - sent


def settled(readings: Readings) -> Readings:
    """Without the last reading but one, if the case ended so soon after it that what was counted
    between the two would be a matter of chance.
    """
    at_ns = readings.at_ns
    if len(at_ns) < 3 or at_ns[-1] - at_ns[-2] >= (at_ns[1] - at_ns[0]) / 2:
        return readings
    values = [*readings.values[:-2], readings.values[-1]]
    return replace(readings, at_ns=[*at_ns[:-2], at_ns[-1]], values=values)


def counted_between(readings: Readings[Statistics]) -> list[Counted]:
    """What was counted between each reading and the next."""
    return [steps(a, b) for a, b in zip(readings.values, readings.values[1:])]


def statistics_entry(between: Sequence[Counted]) -> StatisticsEntry:
    """All of it together."""
    whole = total(between)
    means = means_of(whole)
    return StatisticsEntry(
        requests=means.requests,
        failed=means.failed,
        items=means.items,
        executions=means.executions,
        mean_batch_size=_short(means.mean_batch_size),
        batch_sizes={str(size): count for size, count in sorted(means.batch_sizes.items())},
        **{
            name: _short(getattr(means, name))
            for name in (
                "request_ms",
                "queue_ms",
                *(f"{each}_ms" for each in COMPUTE),
                "cache_hit_ms",
                "cache_miss_ms",
            )
        },
        cache_hits=means.cache_hits,
        cache_misses=means.cache_misses,
        restarts=whole.restarts,
    )


def series_entry(
    at_ns: Sequence[int], between: Sequence[Counted], start_ns: int
) -> ServerSeriesEntry | None:
    """Means between the readings; None for fewer than three of those."""
    if len(between) < 2:
        return None
    at_s = [(each - start_ns) / NS for each in at_ns]
    spans = list(_thinned(list(zip(at_s, at_s[1:], between))))
    means = [means_of(each) for _, _, each in spans]

    def column(of: Callable[[Means], float | None]) -> list[float | int | None]:
        return [_short(of(each)) for each in means]

    return ServerSeriesEntry(
        at_s=[round(begin, 3) for begin, _, _ in spans],
        end_s=round(spans[-1][1], 3),
        requests_per_s=[
            _short(each.requests / (end - begin)) if end > begin else None
            for (begin, end, _), each in zip(spans, means)
        ],
        request_ms=column(lambda each: each.request_ms),
        queue_ms=column(lambda each: each.queue_ms),
        compute_ms=column(lambda each: each.compute_ms),
        batch_size=column(lambda each: each.mean_batch_size),
    )


def _thinned(
    spans: Sequence[tuple[float, float, Counted]],
) -> Iterator[tuple[float, float, Counted]]:
    """Neighbours together, where there are more than a page needs."""
    every = -(-len(spans) // MOST_POINTS)
    for at in range(0, len(spans), every):
        some = spans[at : at + every]
        yield some[0][0], some[-1][1], total(each for _, _, each in some)


def parts_of(between: Sequence[Counted], times: ClientTimes) -> tuple[list[TimePartEntry], str]:
    """The mean response time in its parts; or none, and why it cannot be split."""
    whole = total(between)
    requests = whole.of("success count")
    if not requests:
        return [], "the server counted no answered request"
    server = whole.of("success ns") / requests / 1e6
    if server > times.answered * 1.01 + 0.01:
        return [], (
            f"the server says that a request took it {number(server)} ms, longer than the "
            f"{number(times.answered)} ms that the client waited for the answer: its statistics "
            "are wrong, or tell of other clients' requests"
        )

    def each_ms(*names: str) -> float:
        """Over all requests: one that had no such part had 0 of it."""
        return sum(whole.of(f"{name} ns") for name in names) / requests / 1e6

    inside = {QUEUE: each_ms("queue")}
    inside |= {name.replace("_", " "): each_ms(name) for name in COMPUTE}
    inside["cache"] = each_ms("cache_hit", "cache_miss")
    other = server - sum(inside.values())
    parts = {LATE: times.late, WAIT: times.wait, NETWORK: max(times.answered - server, 0.0)}
    parts |= inside | {OTHER: max(other, 0.0)}
    shown = {name: ms for name, ms in parts.items() if ms > 0 or name not in (LATE, "cache", OTHER)}
    return [
        TimePartEntry(
            name=name,
            mean_ms=_short(ms),
            share=_short(ms / times.response) if times.response > 0 else None,
        )
        for name, ms in shown.items()
    ], ""


def metric_entries(readings: Readings[Page], start_ns: int) -> list[MetricSeriesEntry]:
    """Each series over the case, in the order of the last page that has it."""
    known: dict[Series, None] = {}
    for page in reversed(readings.values):
        known |= dict.fromkeys(page.values)
    return [_metric(series, readings, start_ns) for series in known]


def _metric(series: Series, readings: Readings[Page], start_ns: int) -> MetricSeriesEntry:
    found = [
        ((at - start_ns) / NS, page.values[series])
        for at, page in zip(readings.at_ns, readings.values)
        if series in page.values
    ]
    figures = _gauge(found) if series.kind == "gauge" else _counter(series.kind, found)
    at_s, values = _thin(figures.points)
    return MetricSeriesEntry(
        name=text(series.name),
        labels={text(name): text(value) for name, value in series.labels},
        kind=series.kind,
        mean=_short(figures.mean),
        least=_short(min((value for _, value in figures.points), default=None)),
        most=_short(max((value for _, value in figures.points), default=None)),
        per_s=_short(figures.per_s),
        first=_short(found[0][1][-1]),
        last=_short(found[-1][1][-1]),
        resets=figures.resets,
        at_s=at_s,
        values=values,
    )


@dataclass(frozen=True)
class _Figures:
    """Of one series: its points are (from when, value)."""

    points: Sequence[tuple[float, float]]
    mean: float | None
    per_s: float | None = None
    resets: int | None = None


def _gauge(found: Sequence[tuple[float, tuple[float, ...]]]) -> _Figures:
    points = [(at_s, values[0]) for at_s, values in found]
    return _Figures(points, sum(value for _, value in points) / len(points))


def _counter(kind: str, found: Sequence[tuple[float, tuple[float, ...]]]) -> _Figures:
    """A counter's rates; or the means of what a histogram observed, (count, sum)."""
    between = [
        (a, b, steps({0: _named(before)}, {0: _named(after)}))
        for (a, before), (b, after) in zip(found, found[1:])
    ]
    whole, spent_s = total(each for _, _, each in between), found[-1][0] - found[0][0]
    count, observed = whole.of("0"), whole.of("1")
    per_s = count / spent_s if spent_s > 0 else None
    if kind == "counter":
        rates = [(a, each.of("0") / (b - a)) for a, b, each in between if b > a]
        return _Figures(rates, per_s, None, whole.restarts)
    means = [(a, each.of("1") / each.of("0")) for a, _, each in between if each.of("0")]
    return _Figures(means, observed / count if count else None, per_s, whole.restarts)


def _named(values: Sequence[float]) -> Mapping[str, float]:
    return {str(at): value for at, value in enumerate(values)}


def _thin(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[Number]]:
    """As many as a page needs; none of fewer than three."""
    if len(points) < 3:
        return [], []
    kept = points[:: -(-len(points) // MOST_OF_METRIC)]
    return [round(at_s, 3) for at_s, _ in kept], [_short(value) for _, value in kept]


def _short(value: float | None) -> float | int | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
