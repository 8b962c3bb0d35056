"""Ending what a host has started, also what has left its session and its parent: each process of it
carries the host's mark in its environment.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

MARK = "QS_HOST"
_PASSES = 5  # a process may start another while one looks


def end_marked(mark: str, variable: str = MARK) -> None:
    """Kill every process of this user but this one whose environment holds variable=mark (Linux;
    elsewhere nothing is found).
    """
    wanted = f"{variable}={mark}".encode()
    for _ in range(_PASSES):
        found = [pid for pid in _processes() if pid != os.getpid() and wanted in _environment(pid)]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if not found:
            return


def end_session(leader: int) -> None:
    """Kill every process of this user in the session of a leader that may have ended (Linux)."""
    for _ in range(_PASSES):
        found = [pid for pid in _processes() if _session(pid) == leader]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if not found:
            return


def _session(pid: int) -> int | None:
    """None for a process that has ended."""
    try:
        state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(session)


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _environment(pid: int) -> list[bytes]:
    """Empty for a process that has ended, and for another user's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
