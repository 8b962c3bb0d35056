"""What a node tells of its run while it goes on, so that it is kept if the node is lost: all that
was measured until a moment, and the intervals since the checkpoint before. A checkpoint of a second
at 1,000 requests/s has about 3 kB.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qs.engine.conduct.joined_rows import merged_by_number
from qs.engine.conduct.lead import Snapshot
from qs.engine.distributed.counts import (
    MOST_COUNT,
    histogram_of,
    plain_histogram,
    plain_intervals,
)
from qs.engine.hosts.messages import whole
from qs.engine.record.intervals import Interval

MOST_KINDS = 1_000
MOST_WORD = 200


def plain_checkpoint(intervals: Iterable[tuple[int, Interval]]) -> bytes:
    """What workers have closed since the last checkpoint, merged over them."""
    return plain_intervals(merged_by_number(interval for _, interval in intervals))


def plain_snapshot(snapshot: Snapshot) -> tuple:
    """As plain data."""
    service = None if snapshot.service is snapshot.response else plain_histogram(snapshot.service)
    return (
        int(snapshot.now_ns),
        int(snapshot.start_ns),
        int(snapshot.completed),
        {str(kind): int(many) for kind, many in snapshot.errors_by_kind.items()},
        plain_histogram(snapshot.response),
        service,
        plain_histogram(snapshot.lateness),
    )


def snapshot_of(plain: Any) -> Snapshot:
    """Raises ValueError or TypeError for what makes no sense."""
    now_ns, start_ns, completed, errors, response, service, lateness = plain
    times = histogram_of(response)
    found = Snapshot(
        whole(now_ns),
        whole(start_ns),
        whole(completed, MOST_COUNT),
        errors_of(errors),
        times,
        times if service is None else histogram_of(service),
        histogram_of(lateness),
    )
    if found.completed != times.count + times.out_of_range:
        raise ValueError("more or fewer requests than response times")
    return found


def errors_of(plain: Any) -> dict[str, int]:
    """Failed requests by kind."""
    if not isinstance(plain, dict) or len(plain) > MOST_KINDS:
        raise ValueError(f"{type(plain).__name__} for at most {MOST_KINDS} kinds of failures")
    for kind in plain:
        if not isinstance(kind, str) or not 0 < len(kind) <= MOST_WORD:
            raise ValueError(f"a failure of the kind {kind!r:.40}")
    return {kind: whole(many, MOST_COUNT) for kind, many in plain.items()}
