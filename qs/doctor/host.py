"""The machine as a whole: memory and limits, container or virtual machine, stolen time, other load,
versions.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path
from typing import Any

from qs.base.machine import package_versions, python_version
from qs.base.words import counted, data_size, percent
from qs.doctor.finding import OK, UNKNOWN, WARN, Finding
from qs.engine.machine import HostTimes, host_times, text

LEAST_FREE = 0.1
SWAPPED = 0.01
FILES = 1024
STEAL = 0.02
OTHERS = 0.1
QUIET_LOAD = 0.25  # of a load average, by CPU
HYPERVISOR = "hypervisor"


def memory(root: Path) -> list[Finding]:
    """How much is left, whether it is swapped, huge pages, and the limits of this process."""
    known: dict[str, int] = {}
    for line in (text(root / "proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        known[name] = _bytes(value.strip())
    return [_free(known), _swap(known), _huge_pages(root), _limits()]


def _bytes(value: str) -> int:
    amount, _, unit = value.partition(" ")
    return int(amount) * (1024 if unit == "kB" else 1) if amount.isdigit() else 0


def _free(known: dict[str, int]) -> Finding:
    total, free = known.get("MemTotal"), known.get("MemAvailable")
    if not total or free is None:
        return Finding("memory", UNKNOWN, "not shown")
    value = f"{data_size(free)} of {data_size(total)} free"
    figures = {"available_bytes": free, "total_bytes": total}
    if free < LEAST_FREE * total:
        effect = "the kernel frees pages in the middle of requests"
        return Finding("memory", WARN, value, effect, "stop other programs", figures)
    return Finding("memory", OK, value, figures=figures)


def _swap(known: dict[str, int]) -> Finding:
    total, free = known.get("SwapTotal"), known.get("SwapFree")
    if total is None or free is None:
        return Finding("swap", UNKNOWN, "not shown")
    used = total - free
    value = "none" if not total else f"{data_size(used)} of {data_size(total)} used"
    figures = {"used_bytes": used}
    if total and used > SWAPPED * total:
        effect = "a page that has to be fetched back costs a request milliseconds"
        return Finding("swap", WARN, value, effect, "swapoff -a while measuring", figures)
    return Finding("swap", OK, value, figures=figures)


def _huge_pages(root: Path) -> Finding:
    stated = text(root / "sys/kernel/mm/transparent_hugepage/enabled")
    if not stated:
        return Finding("transparent huge pages", UNKNOWN, "not shown")
    chosen = stated.partition("[")[2].partition("]")[0]
    if chosen != "always":
        return Finding("transparent huge pages", OK, chosen)
    effect = (
        "large models run a little faster, and the kernel joins pages in the background, "
        "which stalls a request now and then"
    )
    return Finding("transparent huge pages", OK, chosen, effect)


def _limits() -> Finding:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    value = f"{'unlimited' if files == resource.RLIM_INFINITY else files} open files"
    if space != resource.RLIM_INFINITY:
        value += f", {data_size(space)} of address space"
        effect = "a model that does not fit fails to load"
        return Finding("limits", WARN, value, effect, "ulimit -v unlimited")
    if files != resource.RLIM_INFINITY and files < FILES:
        effect = "pools of many processes need several files each"
        return Finding("limits", WARN, value, effect, "ulimit -n 4096")
    return Finding("limits", OK, value)


def whole(root: Path, watch_s: float) -> list[Finding]:
    """What kind of machine it is, and what else runs on it: watched for `watch_s`, if that is not
    0.
    """
    before = after = None
    if watch_s > 0:
        before = host_times()
        time.sleep(watch_s)
        after = host_times()
    spent = None if before is None or after is None else _between(before, after)
    return [_kind(root), _steal(spent), _others(root, spent), _versions()]


def _between(before: HostTimes, after: HostTimes) -> tuple[float, float] | None:
    """The shares of the machine's CPU time that were busy and stolen."""
    busy, steal = after.busy_s - before.busy_s, after.steal_s - before.steal_s
    total = busy + steal + after.idle_s - before.idle_s
    return (busy / total, steal / total) if total > 0 else None


def _kind(root: Path) -> Finding:
    kinds = []
    if (
        (root / ".dockerenv").exists()
        or (root / "run/.containerenv").exists()
        or "container" in (text(root / "proc/1/environ") or "")
    ):
        kinds.append("container")
    vendor = text(root / "sys/class/dmi/id/sys_vendor")
    if HYPERVISOR in (text(root / "proc/cpuinfo") or ""):
        kinds.append("virtual machine" + (f" ({vendor})" if vendor else ""))
    figures = {"kinds": kinds}
    if not kinds:
        value = "no sign of a container or virtual machine"
        return Finding("kind of machine", OK, value, figures=figures)
    effect = (
        "neighbours share caches, memory and maybe cores: "
        "compare runs that were made in turn, and repeat them"
    )
    return Finding("kind of machine", OK, " in a ".join(kinds), effect, figures=figures)


def _steal(spent: tuple[float, float] | None) -> Finding:
    if spent is None:
        return Finding("stolen time", UNKNOWN, "not watched for; qs doctor does")
    _, share = spent
    value, figures = percent(share), {"share": share}
    if share <= STEAL:
        return Finding("stolen time", OK, value, figures=figures)
    effect = (
        "the hypervisor gives this machine's cores to others: "
        "everything is slower at times, tails most"
    )
    fix = "use a machine with cores of its own, or measure at another time"
    return Finding("stolen time", WARN, value, effect, fix, figures)


def _others(root: Path, spent: tuple[float, float] | None) -> Finding:
    load = (text(root / "proc/loadavg") or "").split()
    shown = f"load average {load[0]}" if load else "load not shown"
    figures = {"load_1m": float(load[0]) if load else None}
    if spent is None:
        return _by_load(figures["load_1m"], shown, figures)
    share, _ = spent
    value = f"{percent(share)} of all CPUs, {shown}"
    figures = {"share": share, **figures}
    if share <= OTHERS:
        return Finding("other load", OK, value, figures=figures)
    effect = "other programs take cores from the run"
    return Finding("other load", WARN, value, effect, "stop them: top shows them", figures)


def _by_load(load: float | None, shown: str, figures: dict[str, Any]) -> Finding:
    """Not watched: the load of the last minute, which may be that of an earlier run."""
    cpus = os.cpu_count() or 1
    value = f"{shown}, on {counted(cpus, 'CPU')}"
    if load is not None and load > cpus:
        effect = "other programs take cores from the run"
        return Finding("other load", WARN, value, effect, "stop them: top shows them", figures)
    quiet = load is not None and load <= QUIET_LOAD * cpus
    not_watched = "" if quiet else "; not watched for, qs doctor does"
    return Finding("other load", OK if quiet else UNKNOWN, value + not_watched, figures=figures)


def _versions() -> Finding:
    packages = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    system = f"{platform.system()} {platform.release()}"
    return Finding("versions", OK, f"{python_version()}, {system}, {packages}")
