"""Reading the kernel's small files below a root, so that a test can lay out another machine. What
is not there is None, never a fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/")


def text(path: Path) -> str | None:
    """A file's words without the white space around them; None where it cannot be read, or is no
    text.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").replace("\0", " ").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    return whole(text(path))


def whole(word: str | None) -> int | None:
    """A whole number that a word spells; None for all else."""
    try:
        return int(word or "")
    except ValueError:
        return None


def table(path: Path) -> dict[str, str]:
    """A file of lines `key: value`, or `key value`."""
    found: dict[str, str] = {}
    for line in (text(path) or "").splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            key, _, value = line.partition(" ")
        found.setdefault(key.strip(), value.strip())
    return found


def cpu_numbers(listed: str | None) -> tuple[int, ...]:
    """The CPUs of a list such as 0-3,8; none where it is empty or is no such list."""
    cpus: list[int] = []
    for part in (listed or "").split(","):
        first, dash, last = part.strip().partition("-")
        low, high = whole(first), whole(last if dash else first)
        if low is not None and high is not None:
            cpus += range(low, high + 1)
    return tuple(dict.fromkeys(cpus))


def cpu_text(cpus: Iterable[int]) -> str:
    """The list as the kernel writes it: (0, 1, 2, 3, 8) -> "0-3,8"."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
