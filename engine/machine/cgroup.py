"""What the control groups of this process allow it: CPU quota, how long that has held it back, and
memory. Linux; versions 1 and 2.

A container with half a core sees all the machine's CPUs everywhere else. This module reads a few
small files and sets nothing.
"""

from __future__ import annotations

from pathlib import Path

from qs.engine.machine.reading import number, text

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def cpu_folders(memberships: str | None = None, root: Path = ROOT) -> list[Path]:
    """folders_of("cpu")."""
    return folders_of("cpu", memberships, root)


def folders_of(controller: str, memberships: str | None = None, root: Path = ROOT) -> list[Path]:
    """The folders whose limits apply to this process, its own first and the topmost last.

    `memberships` is the text of /proc/self/cgroup: lines "number:controllers:/path"; version 2 has
    number 0 and no controllers. Inside a container the path may be the host's and not exist here;
    then the mounted root is the group itself.
    """
    if memberships is None:
        memberships = text(OWN) or ""
    folders = []
    for line in memberships.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            tops = [root, root / "unified"]
        elif controller in controllers.split(","):
            tops = [root / controllers, root / controller]
        else:
            continue
        for top in tops:
            folder = top / path.lstrip("/")
            if not top.is_dir():
                continue
            if not folder.is_dir() or ".." in folder.parts:
                folder = top
            folders += [
                folder,
                *(above for above in folder.parents if above == top or top in above.parents),
            ]
    return list(dict.fromkeys(folders))


def quota_cores(folders: list[Path]) -> float | None:
    """The smallest quota of the folders, in cores; None if there is no limit."""
    quotas = []
    for folder in folders:
        both = (text(folder / "cpu.max") or "").split()
        if len(both) != 2:
            both = [text(folder / f"cpu.cfs_{part}_us") or "" for part in ("quota", "period")]
        try:
            quota, period = (int(part) for part in both)
        except ValueError:
            continue  # "max", or no such file
        if quota > 0 and period > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def throttled_s(folders: list[Path]) -> float | None:
    """How many seconds their quota has held these groups back since they were made; None if the
    kernel does not say.
    """
    found = []
    for folder in folders:
        for line in (text(folder / "cpu.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name in ("throttled_usec", "throttled_time") and value.isdigit():
                found.append(int(value) / (1e6 if name == "throttled_usec" else 1e9))
    return max(found, default=None)


def free_memory(folders: list[Path]) -> int | None:
    """Bytes that may still be taken, by the tightest of the folders; None if there is no limit.
    Cached files count as free.
    """
    left = []
    for folder in folders:
        limit, used = (
            number(folder / new) if (folder / new).exists() else number(folder / old)
            for new, old in (
                ("memory.max", "memory.limit_in_bytes"),
                ("memory.current", "memory.usage_in_bytes"),
            )
        )
        if limit is None or used is None:
            continue
        cached = 0
        for line in (text(folder / "memory.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file") and value.isdigit():
                cached = int(value)
        left.append(max(limit - used + cached, 0))
    return min(left, default=None)
