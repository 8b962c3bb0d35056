"""Something of a server, read by a thread of its own about once a second while a case is measured,
and when the case begins and ends; on its own connection, outside the request path.

A reading that fails is noted, and the next is tried: a server may be slow, gone, and back again.
Nobody waits for a reading longer than a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from qs.base.visible import one_line

Value = TypeVar("Value", covariant=True)
NS = 1e9
MOST_COST = 0.01  # of one core: readings become rarer where they cost more
# A long case is read more rarely: about this many times the logarithm of its length in seconds.
MANY_READINGS = 400
MOST_FAULTS = 8  # kinds that are kept
FAULT_LENGTH = 200


class Probe(Protocol[Value]):
    """What is read. `read` may raise anything; it ends in bounded time, by its own time-outs."""

    def read(self) -> Value: ...

    def close(self) -> None: ...


@dataclass
class Readings(Generic[Value]):
    """What was read during a case: each reading is of the middle of the time that it took."""

    at_ns: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    failed: int = 0
    faults: dict[str, int] = field(default_factory=dict)  # why, and how often
    cpu_ns: int = 0  # of the thread that read
    wanted: bool = True  # the case goes on

    def fault(self, text: str) -> None:
        self.failed += 1
        if text in self.faults or len(self.faults) < MOST_FAULTS:
            self.faults[text] = self.faults.get(text, 0) + 1


class Sampler(Generic[Value]):
    """The thread of one probe: it reads between `begin` and `end`."""

    def __init__(
        self,
        name: str,
        opener: Callable[[], Probe[Value]],
        interval_s: float = 1.0,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ):
        """`opener` is called in the thread, before each reading that has no probe."""
        self.name = name
        self._opener, self._interval_s, self._clock_ns = opener, interval_s, clock_ns
        self._changed = threading.Condition()
        self._log: Readings[Value] | None = None
        self._asked = self._answered = 0
        self._began_ns = self._next_ns = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"server's {name}", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """A case begins: read now, and about once a second from here on."""
        with self._changed:
            self._log = Readings()
            self._began_ns = self._next_ns = self._clock_ns()
            self._asked += 1
            self._changed.notify_all()

    def end(self) -> None:
        """It has ended: read once more."""
        with self._changed:
            if self._log is not None:
                self._log.wanted = False
            self._asked += 1
            self._changed.notify_all()

    def settle(self, within_s: float) -> bool:
        """Whether all that was asked for was read; waits so long for it."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or self._answered == self._asked, within_s
            )

    def taken(self) -> Readings[Value]:
        """What was read since `begin`; a reading under way is no part of it any more."""
        with self._changed:
            log, self._log = self._log or Readings(), None
            self._answered = self._asked
            return log

    def close(self, within_s: float = 0.2) -> None:
        """A thread whose reading hangs is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(within_s)

    def _run(self) -> None:
        probe: Probe[Value] | None = None
        try:
            while (due := self._due()) is not None:
                log, asked = due
                probe = self._read(probe, log)
                with self._changed:
                    if log is self._log:
                        self._answered = max(asked, self._answered)
                    self._changed.notify_all()
        finally:
            if probe is not None:
                probe.close()

    def _due(self) -> tuple[Readings[Value], int] | None:
        """Wait until a reading is due: into which log, and how many were asked for by then."""
        with self._changed:
            while not self._closed:
                log, pause_s = self._log, None
                if log is not None and self._asked != self._answered:
                    return log, self._asked
                if log is not None and log.wanted:
                    pause_s = (self._next_ns - self._clock_ns()) / NS
                    if pause_s <= 0:
                        return log, self._asked
                self._changed.wait(pause_s)
            return None

    def _read(self, probe: Probe[Value] | None, log: Readings[Value]) -> Probe[Value] | None:
        """One reading into the log. The probe to go on with; None after one that failed."""
        cpu_ns, before_ns = time.thread_time_ns(), self._clock_ns()
        value, failed = None, ""
        try:
            if probe is None:
                probe = self._opener()
            value = probe.read()
        except Exception as error:  # whatever a client or a parser raises
            failed = said(error)
            _close(probe)
            probe = None
        now_ns = self._clock_ns()
        cost_ns = time.thread_time_ns() - cpu_ns
        with self._changed:
            if failed:
                log.fault(failed)
            else:
                log.at_ns.append((before_ns + now_ns) // 2)
                log.values.append(value)  # type: ignore[arg-type]
            log.cpu_ns += cost_ns
            elapsed_s = (now_ns - self._began_ns) / NS
            due_s = (int(elapsed_s / self._interval_s) + 1) * self._interval_s
            least_s = max(cost_ns / NS / MOST_COST, elapsed_s / MANY_READINGS)
            self._next_ns = self._began_ns + int(max(due_s, elapsed_s + least_s) * NS)
        return probe


def _close(probe: Probe | None) -> None:
    if probe is not None:
        try:
            probe.close()
        except Exception:  # it is lost in any case
            return


def said(error: BaseException) -> str:
    """An error in one short line; ours are sentences already."""
    text = one_line(str(error))[:FAULT_LENGTH]
    return text if isinstance(error, Unread) and text else f"{type(error).__name__}: {text}"


class Unread(Exception):
    """A reading that failed, in a sentence."""
