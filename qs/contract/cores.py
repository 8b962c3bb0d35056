"""Which cores this process may use: its affinity mask and the CPU quota of its cgroups, v1 or v2.

os.cpu_count() counts the machine's CPUs: a container with a quota of two CPUs on a machine of 64
would start 64 threads, throttled most of the time. Nothing is changed here, only read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def allowed_cpus() -> list[int]:
    """Logical CPUs in this thread's affinity mask, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_cpus(root: Path = Path("/")) -> list[int]:
    """The CPUs to run on: those allowed, and no more than the quota (rounded down, at least
    one).
    """
    cpus = allowed_cpus()
    quota = cpu_quota(root)
    if quota is None or quota >= len(cpus):
        return cpus
    return sorted(_cores_first(cpus, root)[: max(1, int(quota))])


def core_count(cpus: Sequence[int], root: Path = Path("/")) -> int:
    """Physical cores behind these logical CPUs: matrix kernels gain nothing from a core's second
    thread.
    """
    return len({_core(cpu, root) for cpu in cpus})


def package_count(cpus: Sequence[int], root: Path = Path("/")) -> int:
    """Processor packages (sockets) behind these logical CPUs: the devices of this backend."""
    return len({_core(cpu, root)[0] for cpu in cpus})


def split(cpus: Sequence[int], parts: int, root: Path = Path("/")) -> list[list[int]]:
    """The CPUs in `parts` groups of nearly equal size; threads of a core and cores of a package
    stay together.
    """
    ordered = sorted(cpus, key=lambda cpu: (_core(cpu, root), cpu))
    size, more = divmod(len(ordered), parts)
    groups, begin = [], 0
    for part in range(parts):
        end = begin + size + (part < more)
        groups.append(sorted(ordered[begin:end]))
        begin = end
    return groups


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs granted by the tightest enclosing cgroup, or None if there is no limit."""
    quotas = []
    for mount, relative in _cgroups(root):
        folder = mount / relative
        if not folder.is_dir():
            # Inside a container the path is the host's; its own group is the mount itself.
            folder = mount
        while True:
            quota = _quota_v2(folder) or _quota_v1(folder)
            if quota is not None:
                quotas.append(quota)
            if folder == mount or mount not in folder.parents:
                break
            folder = folder.parent
    return min(quotas, default=None)


def _cgroups(root: Path) -> list[tuple[Path, str]]:
    """(mount point, this process's path in it) of every hierarchy that may limit CPU time."""
    mounts: dict[str, Path] = {}
    for line in _lines(root / "proc/self/mounts"):
        fields = line.split()
        if len(fields) < 4:
            continue
        point = root / fields[1].lstrip("/")
        if fields[2] == "cgroup2":
            mounts.setdefault("v2", point)
        elif fields[2] == "cgroup" and "cpu" in fields[3].split(","):
            mounts.setdefault("v1", point)
    found = []
    for line in _lines(root / "proc/self/cgroup"):
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = (
            "v2"
            if hierarchy == "0" and not controllers
            else "v1"
            if "cpu" in controllers.split(",")
            else ""
        )
        if version in mounts:
            found.append((mounts[version], path.lstrip("/")))
    return found


def _quota_v2(folder: Path) -> float | None:
    """cpu.max holds "<microseconds or max> <period>"."""
    fields = " ".join(_lines(folder / "cpu.max")).split()
    if len(fields) != 2 or fields[0] == "max":
        return None
    return _ratio(*fields)


def _quota_v1(folder: Path) -> float | None:
    quota, period = (
        " ".join(_lines(folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period")
    )
    return _ratio(quota, period) if quota and period and not quota.startswith("-") else None


def _ratio(quota: str, period: str) -> float | None:
    try:
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None


def _core(cpu: int, root: Path) -> tuple[int, int]:
    """(package, core) of a logical CPU; if the kernel does not tell, every CPU is a core of
    package 0.
    """
    folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    try:
        package, core = (
            int((folder / name).read_text()) for name in ("physical_package_id", "core_id")
        )
    except (OSError, ValueError):
        return 0, cpu
    return max(package, 0), core


def _cores_first(cpus: Sequence[int], root: Path) -> list[int]:
    """One thread of every core first, then the second threads."""
    seen: dict[tuple[int, int], int] = {}
    rank = {}
    for cpu in cpus:
        core = _core(cpu, root)
        seen[core] = seen.get(core, -1) + 1
        rank[cpu] = seen[core]
    return sorted(cpus, key=lambda cpu: (rank[cpu], cpu))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
