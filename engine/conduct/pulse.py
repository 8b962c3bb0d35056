"""Which workers show no sign of life any more, in whatever phase of a run.

A worker writes to its memory all the time: the slice it has begun, what it has counted, the rows of
the slice. Nothing else is believed, not even what time the worker says it is, for its process may
be stopped, may hold its interpreter's lock, or may have changed its clock. What counts is for how
long nothing has changed there, by this process's clock.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from qs.engine.hosts.host import Session
from qs.engine.plan import RunPlan
from qs.engine.record.memory import Field, Phase, WorkerMemory
from qs.engine.workers.slices import SLICE_NS

_GRACE_NS = 200_000_000
# A worker outside its requests may be silent for this much longer: hooks around the measured phase,
# a report on its way.
BETWEEN_NS = 4_000_000_000
# One that reads is seen by its event loop, which a reader may keep from running: for so long.
READING_NS = 60_000_000_000
# The most that one look adds: where this process was stopped too, nobody was silent.
_MOST_NS = 1_000_000_000
_SIGNS = [
    Field.PHASE,
    Field.SLICE_NS,
    Field.WARM_COMPLETED,
    Field.COMPLETED,
    Field.FAILED,
    Field.DROPPED,
    Field.READER_NS,
]


@dataclass
class _Watched:
    """What a worker's memory last held, and for how long."""

    sign: tuple
    seen_ns: int
    silent_ns: int = 0


class Pulse:
    """Looks at workers a few times a second."""

    def __init__(self, plan: RunPlan):
        self._request_ns = SLICE_NS + _GRACE_NS + int(plan.timeout_s * 1e9)
        self._build_ns = int(plan.build_timeout_s * 1e9)
        self._workers: dict[WorkerMemory, _Watched] = {}
        self._hosts: dict[Session, _Watched] = {}

    def silent(self, session: Session, now_ns: int, start_ns: int = 0) -> Collection[WorkerMemory]:
        """The workers of a session that have not moved for longer than a request may take, or that
        have not begun so long after the common start (`start_ns`, 0 before it is known).
        """
        waits = any(memory.header[Field.PHASE] < Phase.READY for memory in session.memories)
        found = []
        for memory in session.memories:
            header, began = memory.header, int(memory.header[Field.SLICE_NS])
            sign = (*header[_SIGNS].tolist(), np.count_nonzero(memory.completed) if began else 0)
            silent_ns = _silent_ns(self._workers, memory, sign, now_ns)
            phase = header[Field.PHASE]
            if phase == Phase.DONE or phase == Phase.READY and waits:
                continue
            limit_ns = self._build_ns if phase == Phase.BUILD else self._request_ns
            if phase != Phase.BUILD and not began:
                limit_ns += BETWEEN_NS
            if phase == Phase.READ:
                limit_ns = READING_NS
            late_ns = now_ns - start_ns if start_ns and phase == Phase.MEASURE else 0
            unbegun = 0 < began < start_ns and late_ns > self._request_ns + BETWEEN_NS
            if silent_ns > limit_ns or unbegun:
                found.append(memory)
        return found

    def mute(self, session: Session, now_ns: int) -> bool:
        """Whether a process whose workers have all ended does not go on to report."""
        ended = all(memory.header[Field.PHASE] == Phase.DONE for memory in session.memories)
        silent_ns = _silent_ns(self._hosts, session, (ended, session.heard), now_ns)
        return ended and silent_ns > self._request_ns + BETWEEN_NS


def _silent_ns(watched: dict, key: object, sign: tuple, now_ns: int) -> int:
    """For how long a sign has not changed."""
    one = watched.get(key)
    if one is None or one.sign != sign:
        watched[key] = _Watched(sign, now_ns)
        return 0
    one.silent_ns += min(now_ns - one.seen_ns, _MOST_NS)
    one.seen_ns = now_ns
    return one.silent_ns
