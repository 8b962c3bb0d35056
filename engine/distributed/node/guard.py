"""Between a driver and the process that runs what it asks for: hands frames on, answers for the
clock, and ends that process, with all that it has started, when the driver is gone.

It runs none of what it hands on, so it is not held up by what that does.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from qs.engine.distributed.talking.frames import CLOCKS, FrameError, Kind, Opener, Sealer
from qs.engine.hosts.descendants import end_below

# Nothing was heard of the driver for so long: it is gone.
SILENT_S = 10.0
# The exit status of a node that was ended.
ENDED = 3
_LOOK_S = 0.5
# How long the process may take to end by itself before it is ended.
_LET_END_S = 1.2
_FLUSH_S = 0.5
_MOST_WAITING = 4 << 20  # bytes for the driver
_READ = 1 << 18
_NUMBER = struct.Struct("<Q")
_OF_CHILD = (Kind.MESSAGE, Kind.PART, Kind.UPDATE)


class Guard:
    """The connection to a driver on one side, and the pipe to the process on the other."""

    def __init__(
        self,
        driver: socket.socket,
        child: socket.socket,
        pid: int,
        sealer: Sealer,
        opener: Opener,
    ):
        self._driver, self._child, self._pid = driver, child, pid
        self._sealer, self._opener = sealer, opener
        self._from_child, self._to_child = Opener(None), Sealer(None)
        self._for_driver, self._for_child = bytearray(), bytearray()
        self._status: int | None = None  # of the process, as `wait` gives it
        self._why = ""  # the end of this, for the log
        self._heard = time.monotonic()
        self._parent = os.getppid()
        self._stopped = False  # the process, by a signal
        self._bye = False
        self._select = selectors.DefaultSelector()
        self._watched: dict[socket.socket, int] = {}

    def tell(self, kind: int, body: bytes = b"") -> None:
        """Send the driver something."""
        self._for_driver += self._sealer.frame(kind, body)

    def run(self) -> int:
        """Until the driver, this process's standard input or the process ends: the exit status,
        which is as that of the process if it ended by itself.
        """
        for sock in (self._driver, self._child):
            sock.setblocking(False)
        self._watch_input()
        watched = self._watch_child()
        try:
            while not self._why and self._status is None:
                self._turn()
            if self._status is None:
                self._let_end()
            else:
                self._report()
        finally:
            if watched is not None:
                os.close(watched)
        if self._why:
            print(f"this node ended: {self._why}", file=sys.stderr)
        return self._exit_status()

    def _watch_input(self) -> None:
        try:
            self._select.register(0, selectors.EVENT_READ)
        except (OSError, ValueError):
            pass  # a file, or nothing: its end means nothing

    def _watch_child(self) -> int | None:
        try:
            watched = os.pidfd_open(self._pid)
        except (AttributeError, OSError):
            return None  # it is looked at now and then
        self._select.register(watched, selectors.EVENT_READ)
        return watched

    def _turn(self) -> None:
        """Wait for something to happen, and handle it."""
        self._want()
        ready = {key.fileobj: events for key, events in self._select.select(_LOOK_S)}
        if ready.get(self._driver, 0) & selectors.EVENT_READ:
            self._hear_driver()
            self._send()  # an answer for the clock waits for nothing
        elif time.monotonic() - self._heard > SILENT_S:
            self._why = f"nothing was heard of its driver for {SILENT_S:g} s"
        self._reap()
        if ready.get(self._child, 0) & selectors.EVENT_READ:
            self._hear_child()
        if 0 in ready and not os.read(0, _READ):
            self._why = self._why or "its standard input was closed"
        if os.getppid() != self._parent:
            self._why = self._why or "whoever started it has ended"
        self._send()

    def _want(self) -> None:
        """Say what is waited for."""
        read, write = selectors.EVENT_READ, selectors.EVENT_WRITE
        self._watch(self._driver, read | (write if self._for_driver else 0))
        if self._child.fileno() >= 0:
            # Of a driver that reads slowly no more is kept: the process finds its pipe full.
            full = len(self._for_driver) > _MOST_WAITING
            self._watch(self._child, (0 if full else read) | (write if self._for_child else 0))

    def _watch(self, sock: socket.socket, events: int) -> None:
        if events == self._watched.get(sock, 0):
            return
        if not self._watched.get(sock):
            self._select.register(sock, events)
        elif events:
            self._select.modify(sock, events)
        else:
            self._select.unregister(sock)
        self._watched[sock] = events

    def _hear_driver(self) -> None:
        try:
            data = self._driver.recv(_READ)
        except BlockingIOError:
            return
        except OSError as fault:
            self._why = f"the connection to its driver is lost ({fault.strerror})"
            return
        if not data:
            self._why = "its driver closed the connection"
            return
        now_ns = time.perf_counter_ns()
        self._heard = time.monotonic()
        try:
            for kind, body in self._opener.frames(data):
                self._obey(kind, body, now_ns)
        except FrameError as fault:
            self._why = f"its driver sent {fault}"

    def _obey(self, kind: int, body: bytes, now_ns: int) -> None:
        if kind == Kind.CLOCK:
            if not self._stopped:
                self.tell(kind, CLOCKS.pack(*_NUMBER.unpack(body), now_ns, time.time_ns()))
        elif kind == Kind.ALIVE:
            # A process that is stopped is as good as a machine that hangs.
            self._stopped = _is_stopped(self._pid)
            if not self._stopped:
                self.tell(kind)
        elif kind == Kind.CUT:
            os.kill(self._pid, signal.SIGINT)
        elif kind == Kind.BYE:
            self._bye = True
        else:
            self._for_child += self._to_child.frame(kind, body)

    def _hear_child(self) -> None:
        try:
            data = self._child.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._watch(self._child, 0)
            self._child.close()
            return
        try:
            for kind, body in self._from_child.frames(data):
                if kind not in _OF_CHILD:
                    raise FrameError(f"a frame of kind {kind}")
                self.tell(kind, body)
        except FrameError as fault:
            self._why = f"its process sent {fault}"

    def _send(self) -> None:
        for sock, waiting in ((self._driver, self._for_driver), (self._child, self._for_child)):
            if waiting and sock.fileno() >= 0:
                try:
                    del waiting[: sock.send(waiting[:_READ])]
                except BlockingIOError:
                    pass
                except OSError:
                    waiting.clear()  # reading from it will tell
        if self._bye and not self._for_child:
            self._close_child()
            self._bye = False

    def _reap(self) -> None:
        """Take notice of processes that have ended; children of the process come here too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._pid:
                self._status = status

    def _close_child(self) -> None:
        """Let the process end by itself: it sees the end of its pipe, behind what it was sent."""
        if self._child.fileno() >= 0:
            try:
                self._child.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def _let_end(self) -> None:
        self._close_child()
        until = time.monotonic() + _LET_END_S
        while self._status is None and time.monotonic() < until:
            time.sleep(0.01)
            self._reap()
            if self._child.fileno() >= 0:
                try:
                    while self._child.recv(_READ):
                        pass  # what it wants to say must not keep it from ending
                except OSError:
                    pass

    def _report(self) -> None:
        """Tell the driver how the process ended, behind the last that it said."""
        assert self._status is not None
        end_below()
        code = os.waitstatus_to_exitcode(self._status)
        while self._child.fileno() >= 0 and not self._why:
            before = len(self._for_driver)
            self._hear_child()
            if self._child.fileno() >= 0 and len(self._for_driver) == before:
                break
        self.tell(Kind.ENDED, json.dumps(code).encode())
        self._driver.setblocking(True)
        self._driver.settimeout(_FLUSH_S)
        try:
            self._driver.sendall(self._for_driver)
            self._driver.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _exit_status(self) -> int:
        if self._status is None or self._why:
            return ENDED
        code = os.waitstatus_to_exitcode(self._status)
        if code < 0:
            # Whoever watches this process is to see the same.
            signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
            os.kill(os.getpid(), -code)
        return code


def _is_stopped(pid: int) -> bool:
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return told.rpartition(b")")[2].split()[:1] == [b"T"]
