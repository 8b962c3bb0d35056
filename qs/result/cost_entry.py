"""What measuring a case took of the machine: the engine's own cost, and who used the CPUs."""

from __future__ import annotations

from typing import Any

from qs.result.part import Count, Number, Part


class EngineCostEntry(Part):
    """What the engine itself costs in this layout."""

    ns_per_request: Number = None
    service_ns: Number = None
    requests: Count = None


class CpuUseEntry(Part):
    """CPU time of the run and of the rest of the machine, as the engine reports it."""

    elapsed_s: Number = None
    cores: Number = None
    host_cpus: Count = None
    workers_s: Number = None
    conductor_s: Number = None
    run_s: Number = None
    host_busy_s: Number = None
    steal_s: Number = None
    voluntary_switches: Count = None
    involuntary_switches: Count = None
    quota_held_back_s: Number = None
    thermal_events: Count = None
    base_mhz: Number = None
    groups: list[dict[str, Any]] = []
    frequency_mhz: dict[str, Any] | None = None
    others_s: Number = None
