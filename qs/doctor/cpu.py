"""Cores: how many this process may use, by affinity and by quota, whether they share hardware
threads, and whether the plan has room on them.
"""

from __future__ import annotations

import os
from pathlib import Path

from qs.base.words import number
from qs.doctor.finding import OK, UNKNOWN, WARN, Finding
from qs.doctor.planned import Planned
from qs.doctor.reading import cpu_numbers, cpu_text, text

CPUS = "sys/devices/system/cpu"


def probe(planned: Planned, root: Path) -> list[Finding]:
    usable = usable_cpus()
    quota = quota_of(root)
    return [
        _usable(usable),
        _quota(quota, len(usable)),
        _smt(usable, root),
        _room(planned, usable, quota),
        _affinity(planned, usable),
    ]


def usable_cpus() -> tuple[int, ...]:
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def quota_of(root: Path) -> float | None:
    """Cores that the control group allows; None where nothing limits."""
    from qs.engine.machine import cpu_folders, quota_cores

    memberships = text(root / "proc/self/cgroup") or ""
    return quota_cores(cpu_folders(memberships, root / "sys/fs/cgroup"))


def _usable(usable: tuple[int, ...]) -> Finding:
    total = os.cpu_count() or len(usable)
    value = f"{len(usable)} of {total} CPUs ({cpu_text(usable)})"
    figures = {"usable": list(usable), "total": total}
    if len(usable) < 2:
        effect = "clients, target and the program that watches them take turns on one core: their waits are in the response times"
        return Finding("cores", WARN, value, effect, "measure with two cores at least", figures)
    if len(usable) < total:
        effect = "an affinity mask keeps this process off the others, whatever the plan says"
        return Finding("cores", OK, value, effect, figures=figures)
    return Finding("cores", OK, value, figures=figures)


def _quota(quota: float | None, usable: int) -> Finding:
    if quota is None:
        return Finding("CPU quota", OK, "none", figures={"cores": None})
    if quota >= usable:
        return Finding(
            "CPU quota",
            OK,
            f"{number(quota)} cores, no less than there are",
            figures={"cores": quota},
        )
    effect = "whoever uses more is held back for tens of milliseconds, which lands in p99"
    fix = f"raise the container's CPU limit to {usable}, or plan for at most {max(int(quota), 1)} busy threads"
    return Finding(
        "CPU quota", WARN, f"{number(quota)} cores on {usable} CPUs", effect, fix, {"cores": quota}
    )


def _smt(usable: tuple[int, ...], root: Path) -> Finding:
    siblings = {
        cpu: cpu_numbers(text(root / CPUS / f"cpu{cpu}/topology/thread_siblings_list"))
        for cpu in usable
    }
    shared = sorted({each for each in siblings.values() if len(set(each) & set(usable)) > 1})
    if not any(siblings.values()):
        return Finding("hardware threads", UNKNOWN, "not shown")
    if not shared:
        return Finding("hardware threads", OK, "one a core", figures={"siblings": []})
    value = "shared cores: " + ", ".join(map(cpu_text, shared))
    effect = "two threads of one core slow each other down by a third and more, at random"
    fix = f"pin instances to one thread a core: --affinity {'/'.join(str(each[0]) for each in shared)}"
    return Finding(
        "hardware threads", WARN, value, effect, fix, {"siblings": [list(each) for each in shared]}
    )


def _room(planned: Planned, usable: tuple[int, ...], quota: float | None) -> Finding:
    cores = min(float(len(usable)), quota or float(len(usable)))
    threads = planned.threads(cores)
    if not planned.stated or threads is None:
        return Finding("room for the plan", UNKNOWN, "no plan was given", figures={"cores": cores})
    busy = threads * planned.copies
    value = f"{planned.copies} x {threads} threads on {number(cores)} cores"
    figures = {"busy_threads": busy, "cores": cores}
    if busy <= cores:
        return Finding("room for the plan", OK, value, figures=figures)
    effect = "threads wait for each other's cores: the runtime's own scheduling is measured with the model"
    return Finding(
        "room for the plan",
        WARN,
        value,
        effect,
        "fewer --instances, or --intra_op_threads",
        figures,
    )


def _affinity(planned: Planned, usable: tuple[int, ...]) -> Finding:
    if not planned.affinity:
        return Finding(
            "affinity", OK, "instances are not pinned" if planned.stated else "nothing is pinned"
        )
    missing = sorted({cpu for cpus in planned.affinity for cpu in cpus} - set(usable))
    value = " / ".join(cpu_text(cpus) for cpus in planned.affinity)
    if missing:
        return Finding(
            "affinity",
            WARN,
            value,
            f"CPUs {missing} may not be used",
            f"choose of {cpu_text(usable)}",
        )
    return Finding("affinity", OK, value)
