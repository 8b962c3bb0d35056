"""How many CPUs this process may use, by its affinity mask and by its control group's quota."""

from __future__ import annotations

import os

from qs.engine.machine.cgroup import cpu_folders, quota_cores


def usable_cpus() -> frozenset[int]:
    """CPUs that this process may run on, by its affinity mask."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def usable_cores() -> float:
    """How many cores this process may use: the CPUs of its mask, or its quota if that is less."""
    cpus = float(len(usable_cpus()))
    quota = quota_cores(cpu_folders())
    return cpus if quota is None else min(cpus, quota)


def host_cpus() -> int:
    """CPUs of the machine, however many of them this process may use."""
    return os.cpu_count() or 1
