"""One source, read by a thread of its own about once a second while a case is measured, and exactly
when the case begins and ends.

A source is not trusted: opening it or reading it may raise, and may hang. A hanging one costs its
own readings and nothing else: nobody waits for it longer than a moment, and it is never asked
again.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qs.telemetry.channel import Channel, Opened, Source, Unreadable

NS = 1e9
# Of one core, by all sources together: readings become rarer where they cost more.
MOST_COST = 0.004
# A case of many hours is read more rarely, so that the readings of each source stay few: about this
# many times the logarithm of its length.
MANY_READINGS = 20_000


@dataclass
class Log:
    """What was read of a source during a case; a value is NaN where it could not be."""

    channels: Sequence[Channel]
    at_ns: array[int] = field(default_factory=lambda: array("q"))
    values: list[array[float]] = field(default_factory=list)
    cpu_ns: int = 0  # of the thread that read
    fault: str = ""  # why the readings end before the case
    wanted: bool = True  # the case goes on

    def __post_init__(self) -> None:
        self.values = [array("d") for _ in self.channels]

    def add(self, at_ns: int, values: Sequence[float]) -> None:
        self.at_ns.append(at_ns)
        for kept, value in zip(self.values, values, strict=True):
            kept.append(value)


class Follower:
    """The thread of one source: it opens it at once, and reads it between `begin` and `end`."""

    def __init__(
        self,
        name: str,
        opener: Callable[[], Opened],
        interval_s: float,
        sources: int = 1,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ):
        """`sources`: among how many the cost is shared."""
        self.name = name
        self.unreadable: tuple[Unreadable, ...] = ()
        self._opener = opener
        self._interval_s, self._share = interval_s, MOST_COST / sources
        self._clock_ns = clock_ns
        self._changed = threading.Condition()
        self._source: Source | None = None
        self._opened = self._closed = False
        self._since_ns: int | None = clock_ns()  # asked at that time, and not answered yet
        self._asked = self._answered = 0  # readings at once
        self._log: Log | None = None
        self._began_ns = self._next_ns = 0
        self._cpu_ns = 0  # of the thread, at the end of its last reading
        self._fault = ""
        self._thread = threading.Thread(target=self._run, name=f"telemetry {name}", daemon=True)
        self._thread.start()

    @property
    def channels(self) -> Sequence[Channel]:
        """Empty as long as the source is not open."""
        return self._source.channels if self._source is not None else ()

    def begin(self) -> None:
        """A case begins: read now, and about once a second from here on."""
        with self._changed:
            self._log = Log(self.channels)
            self._began_ns, self._asked = self._clock_ns(), self._asked + 1
            self._changed.notify_all()

    def end(self) -> None:
        """It has ended: read once more."""
        with self._changed:
            if self._log is not None:
                self._log.wanted = False
            self._asked += 1
            self._changed.notify_all()

    def settle(self, within_s: float) -> bool:
        """Whether what was asked for was read, or never will be; waits so long for it."""
        with self._changed:
            return self._changed.wait_for(self._settled, within_s)

    def taken(self) -> Log | None:
        """What was read since `begin`; None for a source that could not be opened. One that still
        does not answer is given up.
        """
        with self._changed:
            log, self._log = self._log, None
            if not self._settled():
                self._fault = f"no answer for {self._silent_s():.1f} s, given up"
                self._closed = True
                if not self._opened:
                    self.unreadable = (Unreadable(self.name, self._fault),)
            if log is None or not self._opened or not self.channels:
                return None
            log.fault = log.fault or self._fault
            return log

    def close(self, within_s: float = 0.2) -> None:
        """Let go of the source; a thread that hangs is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(within_s)

    def _settled(self) -> bool:
        return self._closed or (self._opened and self._answered == self._asked)

    def _silent_s(self) -> float:
        return 0.0 if self._since_ns is None else (self._clock_ns() - self._since_ns) / NS

    def _run(self) -> None:
        try:
            opened = self._opener()
        except Exception as error:  # a library of somebody else's
            opened = Opened(None, (Unreadable(self.name, said(error)),))
        with self._changed:
            self._opened, self._since_ns = True, None
            if not self._closed:  # else it was given up
                self._source, self.unreadable = opened.source, opened.unreadable
            if self._log is not None:  # a case began before the source was open
                self._log = Log(self.channels)
            self._closed |= opened.source is None
            self._changed.notify_all()
        if opened.source is None:
            return
        try:
            while (due := self._due()) is not None:
                log, asked = due
                fault = self._read(opened.source, log)
                with self._changed:
                    self._answered, self._since_ns = asked, None
                    if fault:
                        self._fault, self._closed = fault, True
                    self._changed.notify_all()
        finally:
            opened.source.close()

    def _due(self) -> tuple[Log, int] | None:
        """Wait until a reading is due: for which log, and how many were asked for by then. None:
        there is none to come.
        """
        with self._changed:
            while not self._closed:
                log = self._log
                if log is None:
                    self._answered = self._asked
                elif self._asked != self._answered:
                    return log, self._asked
                pause_s = None
                if log is not None and log.wanted:
                    pause_s = (self._next_ns - self._clock_ns()) / NS
                    if pause_s <= 0:
                        return log, self._asked
                self._changed.wait(pause_s)
            return None

    def _read(self, source: Source, log: Log) -> str:
        """One reading into the log. Why it failed, or ""."""
        begun_cpu_ns = time.thread_time_ns()
        before_ns = self._since_ns = self._clock_ns()
        try:
            values = [float(value) for value in source.read()]
            log.add((before_ns + self._clock_ns()) // 2, values)
        except Exception as error:  # whatever a library or a driver raises
            return said(error)
        # The first reading of a case follows a time that is not the case's.
        first = len(log.at_ns) == 1
        cpu_ns = time.thread_time_ns()
        cost_ns = cpu_ns - (begun_cpu_ns if first else self._cpu_ns)
        log.cpu_ns += cost_ns
        self._cpu_ns = cpu_ns
        now_ns = self._clock_ns()
        elapsed_s = (now_ns - self._began_ns) / NS
        due_s = (int(elapsed_s / self._interval_s) + 1) * self._interval_s
        least_s = max(cost_ns / NS / self._share, elapsed_s / MANY_READINGS)
        self._next_ns = self._began_ns + int(max(due_s, elapsed_s + least_s) * NS)
        return ""


def said(error: BaseException) -> str:
    """An error of somebody else's, in one short line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text:.200}" if text else type(error).__name__
