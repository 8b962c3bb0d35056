"""Metrics of a run for Prometheus while it goes on: an endpoint on this machine, or a text file for
a collector that reads such files.

`--metrics :9464` serves http://127.0.0.1:9464/metrics, `--metrics file:run.prom` writes the file
every few seconds, whole or not at all. The formats are the prometheus_client package's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qs.base.errors import Fault, Faults
from qs.watch.nodes import LOST, name_of
from qs.watch.view import Follow, View

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from qs.engine import Histogram, NodeProgress, Progress, RunResult

FLAG = "--metrics"
ALLOWED = ":PORT, HOST:PORT, or file:PATH"
LOOPBACK = "127.0.0.1"
FILE_EVERY_S = 2.0
# Upper edges of the response times' histogram, in seconds: a tenth of a millisecond to a minute and
# a half.
EDGES_S = tuple(
    round(base * 10.0**power, 6) for power in range(-4, 2) for base in (1.0, 2.5, 5.0)
) + (100.0,)
LABELS = ["task", "backend"]
# (name, help, value) of each node.
NODE_GAUGES: tuple[tuple[str, str, Callable[[NodeProgress], float]], ...] = (
    ("up", "1 as long as the node is not lost", lambda node: float(node.phase != LOST)),
    ("queries", "Queries of this case that the node answered", lambda node: node.completed),
    ("errors", "Queries of this case that failed on the node", lambda node: node.errors),
    ("queries_per_second", "Queries per second over the last moment", lambda node: node.now_per_s),
    (
        "response_p99_seconds",
        "p99 of the response time so far; 0 until there is one",
        lambda node: (node.p99_ns or 0) / 1e9,
    ),
    ("silent_seconds", "For how long nothing was heard of it", lambda node: node.silent_s),
)
LONGEST_NAME = 200  # characters of a node's
_MEASURING = ("measure", "drain")


class Exporter(View):
    """The metrics of one run: what was counted in the cases that have ended, and in the one now.

    A Prometheus collector: the page asks it for its families, which are built of whole histograms.
    Observing one value at a time would take minutes for millions.
    """

    def __init__(
        self,
        task: str,
        backend: str,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        from prometheus_client import CollectorRegistry

        self.registry = CollectorRegistry()
        self._labels = [task, backend]
        self._clock = clock
        self._ended = _Counts()
        self._now = _Counts()
        self._cases = 0
        self._case = ""
        self._progress: Progress | None = None  # the last one of a measured phase
        self._phase: str | None = None
        self._nodes: tuple[NodeProgress, ...] = ()
        self._file = file
        self._wrote_s = 0.0
        self.registry.register(self)

    @contextmanager
    def case(
        self, title: str, limit_s: float | None = None, asked_per_s: float | None = None
    ) -> Iterator[Follow]:
        self._ended, self._now = self._ended + self._now, _Counts()
        self._case = title
        yield self._update

    def _update(self, progress: Progress) -> None:
        self._phase, self._nodes = progress.phase, progress.nodes
        if progress.phase in _MEASURING:
            self._progress = progress
            self._now = self._now.later(progress.completed, progress.errors, progress.response)
        self._write(FILE_EVERY_S)

    def ended(self, title: str, result: RunResult) -> None:
        """Take what came after the case's last progress, and its whole histogram."""
        self._now = self._now.later(result.completed, result.errors, result.response)
        self._cases += 1
        self._nodes = ()
        self._write(0.0)

    def collect(self) -> Iterator[Metric]:
        """The families, as Prometheus' registry asks for them."""
        counts = self._ended + self._now
        yield self._counter(
            "queries", "Queries that were answered in the measured phases", counts.completed
        )
        yield self._counter("errors", "Queries that failed in the measured phases", counts.errors)
        yield self._counter("cases", "Cases that have ended", self._cases)
        for name, text, value in gauges(self._progress):
            yield self._gauge(name, text, value)
        yield self._response(counts)
        yield self._phases()
        if self._nodes:
            yield from self._of_nodes(self._nodes)

    def _of_nodes(self, nodes: Sequence[NodeProgress]) -> Iterator[Metric]:
        """Each node of the case in flight, as it was heard last."""
        from prometheus_client.core import GaugeMetricFamily

        by_name = {name_of(node, LONGEST_NAME): node for node in nodes}
        for name, text, of in NODE_GAUGES:
            family = GaugeMetricFamily(f"qs_node_{name}", text, labels=[*LABELS, "node"])
            for node_name, node in by_name.items():
                family.add_metric([*self._labels, node_name], of(node))
            yield family

    def _counter(self, name: str, text: str, value: float) -> Metric:
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(f"qs_{name}", text, labels=LABELS)
        family.add_metric(self._labels, value)
        return family

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily(f"qs_{name}", text, labels=LABELS)
        family.add_metric(self._labels, value)
        return family

    def _response(self, counts: _Counts) -> Metric:
        from prometheus_client.core import HistogramMetricFamily
        from prometheus_client.utils import floatToGoString

        text = "Response times of the queries that were answered"
        family = HistogramMetricFamily("qs_response_seconds", text, labels=LABELS)
        edges = [*map(floatToGoString, EDGES_S), "+Inf"]
        below = np.cumsum(counts.buckets).tolist()
        family.add_metric(self._labels, list(zip(edges, below)), counts.sum_s)
        return family

    def _phases(self) -> Metric:
        from prometheus_client.core import GaugeMetricFamily

        labels = [*LABELS, "case", "phase"]
        family = GaugeMetricFamily("qs_phase", "1 for what the run does now", labels=labels)
        if self._phase is not None:
            family.add_metric([*self._labels, self._case, self._phase], 1)
        return family

    def _write(self, every_s: float) -> None:
        if self._file is None or self._clock() - self._wrote_s < every_s:
            return
        from prometheus_client import write_to_textfile

        self._wrote_s = self._clock()
        write_to_textfile(str(self._file), self.registry)


@dataclass(frozen=True)
class _Counts:
    """What was counted: queries, errors, and response times by bucket (the last has no upper edge),
    their sum in seconds.
    """

    completed: int = 0
    errors: int = 0
    buckets: tuple[int, ...] = (0,) * (len(EDGES_S) + 1)
    sum_s: float = 0.0

    def __add__(self, other: _Counts) -> _Counts:
        return _Counts(
            self.completed + other.completed,
            self.errors + other.errors,
            tuple(map(sum, zip(self.buckets, other.buckets))),
            self.sum_s + other.sum_s,
        )

    def later(self, completed: int, errors: int, response: Histogram | None) -> _Counts:
        """The counts of a later look at the same case; a counter never goes back."""
        buckets, sum_s = (self.buckets, self.sum_s) if response is None else bucket_counts(response)
        return _Counts(
            max(self.completed, completed),
            max(self.errors, errors),
            tuple(map(max, zip(self.buckets, buckets))),
            max(self.sum_s, sum_s),
        )


def gauges(progress: Progress | None) -> Iterator[tuple[str, str, float]]:
    """(name, help, value) of what goes up and down; a percentile is 0 until there is one."""
    per_s = in_flight = backlog = p50_ns = p99_ns = 0.0
    if progress is not None:
        per_s, in_flight = progress.now_per_s, progress.in_flight or 0
        backlog = progress.backlog or 0
        p50_ns, p99_ns = progress.p50_now_ns or 0, progress.p99_now_ns or 0
    yield "queries_per_second", "Queries per second over the last moment", per_s
    yield "in_flight", "Open loop: queries that are due and not answered", in_flight
    yield "backlog", "Open loop: queries that wait for a worker", backlog
    response = "of the response time, of the last interval"
    yield "response_p50_seconds", f"Median {response}", p50_ns / 1e9
    yield "response_p99_seconds", f"p99 {response}", p99_ns / 1e9


def bucket_counts(histogram: Histogram) -> tuple[tuple[int, ...], float]:
    """How many of a histogram's values lie in each bucket, and their sum in seconds, both by the
    tops of its bins.
    """
    filled = np.flatnonzero(histogram.counts)
    counts = histogram.counts[filled]
    tops_s = histogram.tops_ns(filled) / 1e9
    places = np.searchsorted(np.array(EDGES_S), tops_s, "left")
    buckets = np.bincount(places, counts, minlength=len(EDGES_S) + 1).astype(int)
    return tuple(buckets.tolist()), float(counts @ tops_s)


def checked(text: str) -> tuple[str, int] | Path:
    """Where metrics go. Raises Faults."""
    if text.startswith("file:") and len(text) > 5:
        return Path(text[5:])
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise Faults([Fault(FLAG, "", text, ALLOWED)])
    return host.strip("[]") or LOOPBACK, int(port)


@contextmanager
def exported(
    where: tuple[str, int] | Path | None, task: str, backend: str
) -> Iterator[Exporter | None]:
    """The exporter of a run, served as long as the context lasts. Raises Faults if the port is
    taken or the file cannot be written.
    """
    if where is None:
        yield None
        return
    if isinstance(where, Path):
        from qs.base.files import check_writable

        check_writable(where.absolute().parent, FLAG)
        where.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield Exporter(task, backend, where)
        return
    exporter = Exporter(task, backend)
    from prometheus_client import start_http_server

    host, port = where
    try:
        server, thread = start_http_server(port, host, exporter.registry)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Faults(
            [
                Fault(
                    FLAG,
                    "",
                    f"{host}:{port}",
                    "an address of this machine and a free port",
                    hint=reason,
                )
            ]
        ) from None
    try:
        yield exporter
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
