"""Memory: how much is left, whether it is swapped, huge pages, and the limits of this process."""

from __future__ import annotations

import resource
from pathlib import Path

from qs.base.words import data_size
from qs.doctor.finding import OK, UNKNOWN, WARN, Finding
from qs.doctor.reading import table, text

LEAST_FREE = 0.1
SWAPPED = 0.01
FILES = 1024


def probe(root: Path) -> list[Finding]:
    known = {name: _bytes(value) for name, value in table(root / "proc/meminfo").items()}
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
        return Finding(
            "memory",
            WARN,
            value,
            "the kernel frees pages in the middle of requests",
            "stop other programs",
            figures,
        )
    return Finding("memory", OK, value, figures=figures)


def _swap(known: dict[str, int]) -> Finding:
    total, free = known.get("SwapTotal"), known.get("SwapFree")
    if total is None or free is None:
        return Finding("swap", UNKNOWN, "not shown")
    used = total - free
    value = "none" if not total else f"{data_size(used)} of {data_size(total)} used"
    if total and used > SWAPPED * total:
        effect = "a page that is fetched back costs a request milliseconds"
        return Finding(
            "swap", WARN, value, effect, "swapoff -a while measuring", {"used_bytes": used}
        )
    return Finding("swap", OK, value, figures={"used_bytes": used})


def _huge_pages(root: Path) -> Finding:
    stated = text(root / "sys/kernel/mm/transparent_hugepage/enabled")
    if not stated:
        return Finding("transparent huge pages", UNKNOWN, "not shown")
    chosen = stated.partition("[")[2].partition("]")[0]
    if chosen != "always":
        return Finding("transparent huge pages", OK, chosen)
    effect = "large models run a little faster, and the kernel joins pages in the background, which stalls a request now and then"
    return Finding("transparent huge pages", OK, chosen, effect)


def _limits() -> Finding:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory, _ = resource.getrlimit(resource.RLIMIT_AS)
    shown = "unlimited" if files == resource.RLIM_INFINITY else str(files)
    value = f"{shown} open files" + (
        "" if memory == resource.RLIM_INFINITY else f", {data_size(memory)} of address space"
    )
    if memory != resource.RLIM_INFINITY:
        return Finding(
            "limits", WARN, value, "a model that does not fit fails to load", "ulimit -v unlimited"
        )
    if files != resource.RLIM_INFINITY and files < FILES:
        return Finding(
            "limits",
            WARN,
            value,
            "pools of many processes need several files each",
            "ulimit -n 4096",
        )
    return Finding("limits", OK, value)
