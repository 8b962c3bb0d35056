"""Calls a backend's own `telemetry()` about once a second while it is measured, in a thread of its
own, and leaves what it states in a file of the case's folder.

It is called on the first instance alone, whichever process that is in; one that raises, hangs or
states nonsense is given up. A backend without the method costs nothing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qs.contract.runtime_backend import RuntimeBackend
from qs.telemetry.follower import said
from qs.telemetry.stated import FILE, checked, plain

END_S = 0.25  # so long the last call of a case may take
MOST_COST = 0.005  # of one core: a method that takes more CPU time is called less often
MANY_CALLS = 5_000  # after so many they become rarer, so that the file stays small
NS = 1e9


def telemetry_of(backend: Any) -> Callable[[], Any] | None:
    """The backend's own method, if it has one."""
    method = getattr(backend, "telemetry", None)
    own = getattr(type(backend), "telemetry", None)
    return method if callable(method) and own is not RuntimeBackend.telemetry else None


class Stating:
    """For one instance: asks between the first beginning of a worker and the last end of one."""

    def __init__(self, method: Callable[[], Any], folder: Path, interval_s: float):
        self._method, self._file = method, folder / FILE
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._workers = 0
        self._asking: _Asking | None = None

    def begin_measuring(self) -> None:
        with self._lock:
            self._workers += 1
            if self._workers == 1:
                self._asking = _Asking(self._method, self._file, self._interval_s)

    def end_measuring(self) -> None:
        with self._lock:
            self._workers -= 1
            asking = self._asking
            if self._workers or asking is None:
                return
            self._asking = None
        asking.end()

    def __enter__(self) -> Stating:
        self.begin_measuring()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_measuring()


def stating_of(
    backend: Any, interval_s: float | None, folder: str | None, instance: int = 0
) -> list[Any]:
    """What asks this backend, as a list of one Stating; empty where nobody is to, or it has nothing
    to say.
    """
    if interval_s is None or folder is None or instance != 0:
        return []
    method = telemetry_of(backend)
    return [] if method is None else [Stating(method, Path(folder), interval_s)]


class _Asking:
    """The thread, for one measured phase."""

    def __init__(self, method: Callable[[], Any], file: Path, interval_s: float):
        self._method, self._path = method, file
        self._interval_s = interval_s
        self._over = threading.Event()
        self._write = threading.Lock()
        self._since_ns = 0
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """One more call, which may take a moment."""
        self._over.set()
        self._thread.join(END_S)
        if self._thread.is_alive():
            seconds = (time.perf_counter_ns() - self._since_ns) / NS
            self._leave({"fault": f"telemetry() gave no answer for {seconds:.1f} s, given up"})
            self._given_up = True

    def _run(self) -> None:
        began_ns = time.perf_counter_ns()
        last = False
        try:
            while True:
                spent_ns = time.thread_time_ns()
                self._since_ns = before_ns = time.perf_counter_ns()
                answer = self._method()
                at_ns = (before_ns + time.perf_counter_ns()) // 2
                checked(answer)
                kept = self._leave({"at_ns": at_ns, "values": plain(answer)})
                if last or not kept:
                    break
                elapsed_s = (time.perf_counter_ns() - began_ns) / NS
                cost_s = (time.thread_time_ns() - spent_ns) / NS
                due_s = (int(elapsed_s / self._interval_s) + 1) * self._interval_s - elapsed_s
                last = self._over.wait(max(due_s, cost_s / MOST_COST, elapsed_s / MANY_CALLS))
        except NotImplementedError:
            return  # as the base class has it, or a copy of that
        except (Exception, SystemExit) as error:
            words = str(error) if isinstance(error, ValueError) else said(error)
            self._leave({"fault": f"telemetry(): {words}"})
        self._leave({"cpu_ns": time.thread_time_ns()})

    def _leave(self, entry: dict[str, Any]) -> bool:
        """Whether it was written: not any more once the case is over, and its folder gone."""
        with self._write:
            if self._given_up:
                return False
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
            except OSError:
                return False
            return True
