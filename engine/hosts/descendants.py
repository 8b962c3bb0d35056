"""Ending what a process has started: all below it, all of a session, or, also where that has left
its session and its parent, all that carries a mark in its environment.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

MARK = "QS_HOST"
_PASSES = 5  # a process may start another while one looks
_KILL_S = 2.0


def end_marked(mark: str, variable: str = MARK) -> None:
    """Kill every process of this user but this one whose environment holds variable=mark (Linux;
    elsewhere nothing is found).
    """
    wanted = f"{variable}={mark}".encode()
    _end_all(lambda pid: pid != os.getpid() and wanted in _environment(pid))


def end_session(leader: int) -> None:
    """Kill every process of this user in the session of a leader that may have ended (Linux)."""
    _end_all(lambda pid: _session(pid) == leader)


def _end_all(meant: Callable[[int], bool]) -> None:
    for _ in range(_PASSES):
        found = [pid for pid in _processes() if meant(pid)]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if not found:
            return


def end_below() -> None:
    """Kill all that has been started below this process, until nothing is left, and take notice of
    its end (Linux). For one to which processes without a parent come (a subreaper), since nothing
    gets away from it.
    """
    until = time.monotonic() + _KILL_S
    while time.monotonic() < until:
        for pid in below(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def below(root: int) -> list[int]:
    """The processes below one, the nearest first."""
    children: dict[int, list[int]] = {}
    for pid in _processes():
        try:
            told = Path(f"/proc/{pid}/stat").read_bytes()
            parent = int(told.rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(pid)
    found, new = [], children.get(root, [])
    while new:
        found += new
        new = [pid for each in new for pid in children.get(each, [])]
    return found


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
