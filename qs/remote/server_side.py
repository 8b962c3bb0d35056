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
from dataclasses import dataclass

from qs.base.storable import storable
from qs.base.words import number
from qs.remote.counting import Counted, steps, total
from qs.remote.metrics import Page, Series
from qs.remote.sampler import Readings
from qs.remote.statistics import COMPUTE, Means, Statistics, means_of
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
NOT_ONE_ANSWERED = "no request was answered"


@dataclass(frozen=True)
class ClientTimes:
    """Means of the answered requests, as the client stamped them; ms."""

    response: float  # last byte - due
    late: float  # issued - due
    wait: float  # sent - issued
    answered: float  # last byte - sent


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
    first, last = found[0][1][-1], found[-1][1][-1]
    common = {
        "name": storable(series.name),
        "labels": storable(dict(series.labels)),
        "kind": series.kind,
        "first": _short(first),
        "last": _short(last),
    }
    if series.kind == "gauge":
        points = [(at_s, values[0]) for at_s, values in found]
        return MetricSeriesEntry(
            **common,
            mean=_short(sum(value for _, value in points) / len(points)),
            least=_short(min(value for _, value in points)),
            most=_short(max(value for _, value in points)),
            **_points(points),
        )
    between = [
        (a, b, steps({0: _named(before)}, {0: _named(after)}))
        for (a, before), (b, after) in zip(found, found[1:])
    ]
    whole, spent_s = total(each for _, _, each in between), found[-1][0] - found[0][0]
    if series.kind == "counter":
        rates = [(a, each.of("0") / (b - a)) for a, b, each in between if b > a]
        return MetricSeriesEntry(
            **common,
            mean=_short(whole.of("0") / spent_s) if spent_s > 0 else None,
            least=_short(min((rate for _, rate in rates), default=None)),
            most=_short(max((rate for _, rate in rates), default=None)),
            resets=whole.restarts,
            **_points(rates),
        )
    means = [(a, each.of("1") / each.of("0")) for a, _, each in between if each.of("0")]
    return MetricSeriesEntry(
        **common,
        mean=_short(whole.of("1") / whole.of("0")) if whole.of("0") else None,
        least=_short(min((mean for _, mean in means), default=None)),
        most=_short(max((mean for _, mean in means), default=None)),
        per_s=_short(whole.of("0") / spent_s) if spent_s > 0 else None,
        resets=whole.restarts,
        **_points(means),
    )


def _named(values: Sequence[float]) -> Mapping[str, float]:
    return {str(at): value for at, value in enumerate(values)}


def _points(points: Sequence[tuple[float, float]]) -> dict[str, list]:
    """Thinned to what a page needs; none for fewer than three."""
    if len(points) < 3:
        return {}
    every = -(-len(points) // MOST_OF_METRIC)
    kept = points[::every]
    return {
        "at_s": [round(at_s, 3) for at_s, _ in kept],
        "values": [_short(value) for _, value in kept],
    }


def _short(value: float | None) -> float | int | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
