"""Metrics of a run for Prometheus while it goes on: an endpoint on this machine, or a text file for
a collector that reads such files.

`--metrics :9464` serves http://127.0.0.1:9464/metrics, `--metrics file:run.prom` writes the file
every few seconds, whole or not at all. The formats are the prometheus_client package's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.base.errors import Fault, Faults
from qs.watch.view import Follow, View

if TYPE_CHECKING:
    from qs.engine import Progress, RunResult

FLAG = "--metrics"
ALLOWED = ":PORT, HOST:PORT, or file:PATH"
LOOPBACK = "127.0.0.1"
FILE_EVERY_S = 2.0
# Upper edges of the response times' histogram, in seconds: a tenth of a millisecond to a minute and
# a half.
EDGES_S = tuple(
    round(base * 10.0**power, 6) for power in range(-4, 2) for base in (1.0, 2.5, 5.0)
) + (100.0,)
LABELS = ("task", "backend")


class Exporter(View):
    """The metrics of one run."""

    def __init__(
        self,
        task: str,
        backend: str,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self._labels = {"task": task, "backend": backend}
        self._clock = clock

        def of(kind: Any, name: str, text: str, **more: Any) -> Any:
            return kind(f"qs_{name}", text, LABELS, registry=self.registry, **more).labels(
                task, backend
            )

        self.queries = of(Counter, "queries", "Queries that were answered in the measured phases")
        self.errors = of(Counter, "errors", "Queries that failed in the measured phases")
        self.per_s = of(Gauge, "queries_per_second", "Queries per second over the last moment")
        self.in_flight = of(Gauge, "in_flight", "Open loop: queries that are due and not answered")
        self.backlog = of(Gauge, "backlog", "Open loop: queries that wait for a worker")
        self.p50 = of(
            Gauge, "response_p50_seconds", "Median of the response time, of the last interval"
        )
        self.p99 = of(
            Gauge, "response_p99_seconds", "p99 of the response time, of the last interval"
        )
        self.cases = of(Counter, "cases", "Cases that have ended")
        self.response = of(
            Histogram,
            "response_seconds",
            "Response times of the queries that were answered",
            buckets=EDGES_S,
        )
        self._phase = Gauge(
            "qs_phase",
            "1 for what the run does now",
            (*LABELS, "case", "phase"),
            registry=self.registry,
        )
        self._seen = (0, 0)
        self._counted: tuple[list[int], float] = ([0] * (len(EDGES_S) + 1), 0.0)
        self._case = ""
        self._file = file
        self._wrote_s = 0.0

    @contextmanager
    def case(self, title: str, limit_s: float | None = None) -> Iterator[Follow]:
        self._seen = (0, 0)
        self._counted = ([0] * (len(EDGES_S) + 1), 0.0)
        self._case = title
        yield self._update

    def _update(self, progress: Progress) -> None:
        self._phase.clear()
        self._phase.labels(*self._labels.values(), self._case, progress.phase).set(1)
        if progress.phase in ("measure", "drain"):
            completed, errors = self._seen
            self.queries.inc(max(progress.completed - completed, 0))
            self.errors.inc(max(progress.errors - errors, 0))
            self._seen = (max(progress.completed, completed), max(progress.errors, errors))
            self.per_s.set(progress.now_per_s)
            self.in_flight.set(progress.in_flight or 0)
            self.backlog.set(progress.backlog or 0)
            if progress.response is not None:
                self._count(progress.response)
            for gauge, value in ((self.p50, progress.p50_now_ns), (self.p99, progress.p99_now_ns)):
                if value:
                    gauge.set(value / 1e9)
        self._write(FILE_EVERY_S)

    def ended(self, title: str, result: RunResult) -> None:
        """Add what came after the case's last progress, and its whole histogram."""
        completed, errors = self._seen
        self.queries.inc(max(result.completed - completed, 0))
        self.errors.inc(max(result.errors - errors, 0))
        self._seen = (max(result.completed, completed), max(result.errors, errors))
        self.cases.inc()
        self._count(result.response)
        self._write(0.0)

    def _count(self, histogram: Any) -> None:
        """What was answered since the last look. All at once: the library observes one value at a
        time, which takes minutes for millions.
        """
        counts, sum_s = bucket_counts(histogram)
        before, before_s = self._counted
        for bucket, count, seen in zip(self.response._buckets, counts, before):
            bucket.inc(max(count - seen, 0))
        self.response._sum.inc(max(sum_s - before_s, 0.0))
        self._counted = ([max(pair) for pair in zip(counts, before)], max(sum_s, before_s))

    def _write(self, every_s: float) -> None:
        if self._file is None or self._clock() - self._wrote_s < every_s:
            return
        from prometheus_client import write_to_textfile

        self._wrote_s = self._clock()
        write_to_textfile(str(self._file), self.registry)


def bucket_counts(histogram: Any) -> tuple[list[int], float]:
    """How many of an engine's histogram lie in each bucket, and the sum of its values in seconds,
    by the tops of its bins.
    """
    import numpy as np

    from qs.engine.statistics import highest_value_of

    filled = np.flatnonzero(histogram.counts)
    counts = histogram.counts[filled]
    tops_s = np.array([highest_value_of(int(index)) for index in filled], float) / 1e9
    places = np.searchsorted(np.array(EDGES_S), tops_s, "left")
    return np.bincount(places, counts, minlength=len(EDGES_S) + 1).astype(int).tolist(), float(
        counts @ tops_s
    )


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
    """The exporter of a run, served as long as the context lasts. Faults where the port is taken or
    the file cannot be written.
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
                    "an address of this machine, and a port that is free",
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
