"""All probes, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qs.doctor import clocks, cpu, host, memory, threads
from qs.doctor.finding import Finding
from qs.doctor.planned import Planned
from qs.doctor.reading import ROOT

WATCH_S = 1.0


def look(planned: Planned | None = None, root: Path = ROOT, watch_s: float = 0.0) -> list[Finding]:
    """What the machine is like now.

    planned   what a run is going to ask of it, for the probes that judge by that
    root      below which the kernel's files lie
    watch_s   how long to watch for stolen time and other load; 0: not at all, and the probes say so
    """
    planned = planned or Planned()
    before = host.times(root)
    found: list[Finding] = []
    groups: Iterable[list[Finding]] = (
        cpu.probe(planned, root),
        clocks.probe(root),
        memory.probe(root),
        threads.probe(planned),
    )
    for group in groups:
        found += group
    return [*found, *host.probe(root, before, watch_s)]
