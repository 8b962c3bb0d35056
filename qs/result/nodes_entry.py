"""What each node did, of a case that ran on several machines.

Every figure may be null: the node was lost before, or has no such figure. All times are of one
clock, that of the node, but for the start and the series, which are on the driver's.
"""

from __future__ import annotations

from typing import Any

from qs.result.cost_entry import CpuUseEntry, EngineCostEntry
from qs.result.part import Count, Number, Part
from qs.result.verdict import DoubtEntry


class ClockEntry(Part):
    """How a node's clock stood to the driver's: its time is the driver's plus the offset."""

    offset_ms: Number = None
    uncertainty_ms: Number = None  # at most this much wrong, at any time of the case
    drift_ppm: Number = None  # how much faster it runs, in millionths
    round_trips: Count = None
    least_round_trip_ms: Number = None


class NodeSeriesEntry(Part):
    """A node over the measured phase, from the common start, on the driver's clock; each list has
    one value for each interval. p99 is the highest where intervals were put together.
    """

    at_s: list[float] = []
    end_s: Number = None  # where the last interval ends
    per_s: list[Number] = []  # completed requests
    p99_ms: list[Number] = []
    errors: list[Count] = []


class NodeEntry(Part):
    """One node's part of a case."""

    name: str
    address: str | None = None
    share: str | None = None  # which part of the load it had, in words
    offered_per_s: Number = None
    queries_per_s: Number = None
    items_per_s: Number = None
    completed: Count = None
    errors: Count = None
    errors_by_kind: dict[str, int] = {}
    # of the response time, from the due time in open loop
    mean_ms: Number = None
    p50_ms: Number = None
    p99_ms: Number = None
    max_ms: Number = None
    service_p50_ms: Number = None
    service_p99_ms: Number = None
    lateness_p99_ms: Number = None
    engine_cost: EngineCostEntry | None = None
    cpu_use: CpuUseEntry | None = None
    ended_by: str | None = None
    doubts: list[DoubtEntry] = []
    # how long after the common start it began, known to within the clock's uncertainty
    start_skew_ms: Number = None
    clock: ClockEntry | None = None
    lost: str | None = None  # why it was lost
    lost_at_s: Number = None  # from the common start
    kept_until_s: Number = None  # what it had measured until then is in the figures
    replaces: str | None = None  # the node whose share it took over
    facts: dict[str, Any] = {}
    log: str | None = None  # the file of what it printed, in the report's folder
    series: NodeSeriesEntry | None = None

    @property
    def cpu_share(self) -> float | None:
        """How busy its CPUs were, from 0 to 1, by whatever ran there."""
        use = self.cpu_use
        if use is None or use.host_busy_s is None or not use.elapsed_s or not use.host_cpus:
            return None
        return use.host_busy_s / (use.elapsed_s * use.host_cpus)
