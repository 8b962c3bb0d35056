"""A served model in the report: the server's own times and metrics beside a case's row, and which
server it was. What is read, and what it comes to, is qs.remote's part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from qs.base.names import nearest
from qs.base.words import counted, number
from qs.engine import Histogram, RunPlan, RunResult
from qs.evaluate.served_model import Served
from qs.remote.metrics import Page
from qs.remote.sampler import Readings
from qs.remote.server_side import (
    NETWORK,
    ClientTimes,
    counted_between,
    metric_entries,
    parts_of,
    series_entry,
    settled,
    statistics_entry,
)
from qs.remote.watching import Watched
from qs.result.row import Row
from qs.result.server_entry import PartTimes, ServerEntry, TimePartEntry
from qs.result.verdict import DoubtEntry

NS, NS_PER_MS = 1e9, 1e6
# By so much may the server's count of requests differ from ours, before others are suspected.
OTHERS_SHARE, FEWEST_OTHERS = 0.05, 20
WAIT = "wait"  # the engine's name for sent - issued
PARTS = (WAIT, "first_byte", "transfer")


class ServerBeside:
    """What is read of the server beside one case; nothing, where no server is measured."""

    def __init__(self, served: Served | None):
        self._watch = None if served is None else served.watch
        self._watched: Watched | None = None if self._watch is None else self._watch.watching()

    def plan(self, plan: RunPlan) -> RunPlan:
        """The plan with the parts of a request's time, which requests that are started tell."""
        started = self._watch is not None and plan.pool.kind == "async"
        return replace(plan, parts=PARTS) if started else plan

    @contextmanager
    def around(self, other: AbstractContextManager[object]) -> Iterator[None]:
        """`other`, to be entered just before the case, and the server's readings within it."""
        with ExitStack() as stack:
            stack.enter_context(other)
            if self._watched is not None:
                stack.enter_context(self._watched)
            yield

    def ended(self) -> None:
        """Take the readings; waits a moment for the last ones."""
        if self._watched is not None:
            self._watched.take()

    def row(self, row: Row, result: RunResult, lists: bool = False) -> Row:
        """The row with what the server said, and with the client's own stamps.

        lists   whether a query is several requests, whose times are not one request's
        """
        row = with_parts(row, result)
        if self._watch is None or self._watched is None:
            return row
        read = self._watched.take()
        entry, doubts = self._entry(read, result, lists)
        known = {part.name: part.mean_ms for part in entry.parts}
        found = entry.statistics
        return row.changed(
            server=entry,
            network_and_client_ms=known.get(NETWORK),
            server_queue_ms=None if found is None else found.queue_ms,
            server_compute_ms=None if found is None else _compute(entry.parts),
        ).doubted(*doubts)

    def _entry(
        self, read: Mapping[str, Readings], result: RunResult, lists: bool
    ) -> tuple[ServerEntry, list[DoubtEntry]]:
        assert self._watch is not None
        known: dict[str, Any] = {}
        doubts: list[DoubtEntry] = []
        read = {name: settled(each) for name, each in read.items()}
        statistics = read.get("statistics")
        if statistics is None:
            known["no_statistics"] = self._watch.no_statistics
        else:
            known |= _of_statistics(statistics, result, lists)
            doubts += _doubts(known, result)
        pages = read.get("metrics")
        if pages is None:
            known["no_metrics"] = None
        else:
            known |= self._of_pages(pages, result)
            if known.get("no_metrics") and self._watch.stated:
                doubts.append(DoubtEntry(code="server_unread", text=known["no_metrics"]))
        faults = {
            (text if count == 1 else f"{text} ({count} times)"): None
            for name, each in read.items()
            if name != "metrics" or self._watch.stated or each.values
            for text, count in each.faults.items()
        }
        if faults:
            text = f"some readings of the server failed: {next(iter(faults))}"
            doubts.append(DoubtEntry(code="server_unread", text=text))
        cost_s = sum(each.cpu_ns for each in read.values()) / NS
        wall_s = result.wall_s
        return ServerEntry(
            **known,
            readings=sum(len(each.values) for each in read.values()),
            faults=list(faults),
            sampler_cpu_s=cost_s,
            sampler_share_of_core=cost_s / wall_s if wall_s > 0 else None,
        ), doubts

    def _of_pages(self, pages: Readings[Page], result: RunResult) -> dict[str, Any]:
        assert self._watch is not None
        if not pages.values:
            why = next(iter(pages.faults), "no reading was answered in time")
            return {"no_metrics": f"{self._watch.metrics_url}: {why}"}
        known: dict[str, Any] = {
            "metrics": metric_entries(pages, result.start_ns),
            "series_left_out": max(each.left_out for each in pages.values) or None,
        }
        for page in pages.values:
            for fault in page.faults:
                pages.fault(fault)
        last = pages.values[-1]
        if not known["metrics"] or self._watch.chosen and last.missing:
            known["no_metrics"] = self._missing(last)
        return known

    def _missing(self, page: Page) -> str:
        assert self._watch is not None
        url = self._watch.metrics_url
        if not self._watch.chosen:
            there = f"; it has {', '.join(page.has[:8])}" if page.has else ""
            return f"{url} has none of the well-known metrics; name some with --metric{there}"
        said = []
        for name in page.missing:
            near = nearest(name, page.has)
            said.append(f"{name!r}" + (f" (did you mean {near!r}?)" if near else ""))
        return f"--metric: {url} has no {', '.join(said)}"


def with_parts(row: Row, result: RunResult) -> Row:
    """The row with the parts of a request's time, as its calls stamped them, and what the client
    counted.
    """
    parts: Mapping[str, Histogram] = result.parts
    counts: Mapping[str, int] = result.counts
    known: dict[str, Any] = {}
    times = {name: times_of(each) for name, each in parts.items() if each.count}
    if times:
        known["parts"] = times
        if WAIT in times:
            known["connection_wait_ms"] = times[WAIT].mean_ms
    if counts:
        known["counts"] = dict(counts)
    return row.changed(**known) if known else row


def times_of(histogram: Histogram) -> PartTimes:
    """Percentiles that the count does not support are null."""

    def ms(percentile: float) -> float | None:
        ns = histogram.reported_ns(percentile)
        return None if ns is None else ns / NS_PER_MS

    return PartTimes(
        count=histogram.count,
        mean_ms=histogram.mean_ns / NS_PER_MS,
        p50_ms=ms(50.0),
        p90_ms=ms(90.0),
        p99_ms=ms(99.0),
        max_ms=histogram.max_ns / NS_PER_MS,
    )


def client_times(result: RunResult) -> ClientTimes:
    """Means over the answered requests."""
    parts: Mapping[str, Histogram] = result.parts
    wait = parts[WAIT].mean_ns if WAIT in parts and parts[WAIT].count else 0.0
    late = result.lateness.mean_ns if result.open_loop and result.lateness.count else 0.0
    return ClientTimes(
        response=result.response.mean_ns / NS_PER_MS,
        late=late / NS_PER_MS,
        wait=wait / NS_PER_MS,
        answered=max(result.service.mean_ns - wait, 0.0) / NS_PER_MS,
    )


def _of_statistics(readings: Readings, result: RunResult, lists: bool) -> dict[str, Any]:
    between = counted_between(readings)
    if not between:
        why = next(iter(readings.faults), "no reading was answered in time")
        return {"no_statistics": f"fewer than two readings: {why}"}
    known: dict[str, Any] = {
        "statistics": statistics_entry(between),
        "series": series_entry(readings.at_ns, between, result.start_ns),
        "from_s": round((readings.at_ns[0] - result.start_ns) / NS, 3),
        "to_s": round((readings.at_ns[-1] - result.start_ns) / NS, 3),
    }
    if lists:
        known["not_split"] = "a query is several requests: the server counts each of them"
    elif not result.completed:
        known["not_split"] = "no request was answered"
    else:
        parts, why = parts_of(between, client_times(result))
        known |= {"parts": parts} if parts else {"not_split": why}
    return known


def _doubts(known: Mapping[str, Any], result: RunResult) -> Iterator[DoubtEntry]:
    found = known.get("statistics")
    if found is None:
        return
    if found.restarts:
        yield DoubtEntry(
            code="server_restarted",
            text=f"what the server counts began anew {counted(found.restarts, 'time')} during the "
            "case: the server or the model was restarted, or its statistics are wrong",
        )
    ours = (result.completed + result.errors) * result.samples_per_query
    theirs = found.requests + found.failed
    if theirs - ours > max(OTHERS_SHARE * ours, FEWEST_OTHERS):
        yield DoubtEntry(
            code="others_on_server",
            text=f"the server counted {number(theirs)} requests of the model, {number(ours)} of "
            "them ours: others use it too, and its times are of all of them",
            cure="measure while nobody else sends requests",
        )
    if known.get("not_split") and found.requests and "longer than" in known["not_split"]:
        yield DoubtEntry(code="server_statistics", text=known["not_split"])


def _compute(parts: list[TimePartEntry]) -> float | None:
    known = [part.mean_ms for part in parts if part.name.startswith("compute ")]
    return sum(float(each) for each in known if each is not None) if known else None
