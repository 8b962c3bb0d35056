"""The machine as a whole: container or virtual machine, stolen time, other load, versions."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.words import percent
from qs.doctor.finding import OK, UNKNOWN, WARN, Finding
from qs.doctor.reading import text

STEAL = 0.02
OTHERS = 0.1
HYPERVISOR = "hypervisor"


@dataclass(frozen=True)
class Times:
    """Sums over all CPUs since the machine started, in clock ticks."""

    busy: int
    idle: int
    steal: int

    @property
    def total(self) -> int:
        return self.busy + self.idle + self.steal


def probe(root: Path, before: Times | None, watch_s: float) -> list[Finding]:
    if watch_s > 0:
        time.sleep(watch_s)
    after = times(root) if watch_s > 0 else None
    return [_kind(root), _steal(before, after), _others(root, before, after), _versions()]


def times(root: Path) -> Times | None:
    """From /proc/stat; None where it is not there."""
    first = (text(root / "proc/stat") or "").partition("\n")[0].split()
    if len(first) < 9 or first[0] != "cpu":
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = (int(word) for word in first[1:9])
    return Times(user + nice + system + irq + softirq, idle + iowait, steal)


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
    if not kinds:
        return Finding(
            "kind of machine", OK, "no container or virtual machine is seen", figures={"kinds": []}
        )
    effect = "neighbours share caches, memory and maybe cores: compare runs that were made in turn, and repeat them"
    return Finding("kind of machine", OK, " in a ".join(kinds), effect, figures={"kinds": kinds})


def _steal(before: Times | None, after: Times | None) -> Finding:
    if before is None or after is None or after.total <= before.total:
        return Finding("stolen time", UNKNOWN, "not watched for; qs doctor does")
    share = (after.steal - before.steal) / (after.total - before.total)
    figures = {"share": share}
    if share <= STEAL:
        return Finding("stolen time", OK, percent(share), figures=figures)
    effect = "the hypervisor gives this machine's cores to others: everything is slower at times, tails most"
    return Finding(
        "stolen time",
        WARN,
        percent(share),
        effect,
        "use a machine with cores of its own, or measure at another time",
        figures,
    )


def _others(root: Path, before: Times | None, after: Times | None) -> Finding:
    load = (text(root / "proc/loadavg") or "").split()
    shown = f"load average {load[0]}" if load else "load not shown"
    if before is None or after is None or after.total <= before.total:
        return Finding(
            "other load",
            UNKNOWN if not load else OK,
            shown,
            figures={"load_1m": float(load[0]) if load else None},
        )
    share = (after.busy - before.busy) / (after.total - before.total)
    value = f"{percent(share)} of all CPUs, {shown}"
    figures = {"share": share, "load_1m": float(load[0]) if load else None}
    if share <= OTHERS:
        return Finding("other load", OK, value, figures=figures)
    return Finding(
        "other load",
        WARN,
        value,
        "other programs take cores from the run",
        "stop them: top shows them",
        figures,
    )


def _versions() -> Finding:
    from qs.base.machine import describe

    facts: dict[str, Any] = describe()
    packages = ", ".join(f"{name} {version}" for name, version in facts["Packages"].items())
    return Finding(
        "versions", OK, f"{facts['Python']}, {os.uname().sysname} {os.uname().release}, {packages}"
    )
