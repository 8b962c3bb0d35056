"""A node: `python -m qs.engine.distributed.node.serving`. It reads from its standard input, as one
line of JSON, which node it is and where its driver listens, connects there, and ends when its
driver or its standard input does.

It is two processes. This one has the connection: it answers for the clock and for being alive
whatever the other does, hands messages on, and ends the other with all that it has started. The
other, its child, builds and runs what is asked (`running.py`), which may hang or die.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import warnings

from qs.engine.descriptors import open_standard
from qs.engine.distributed.node import running
from qs.engine.distributed.node.guard import ENDED, Guard
from qs.engine.distributed.places.places import Where
from qs.engine.distributed.talking import frames
from qs.engine.distributed.talking.facts import facts
from qs.engine.distributed.talking.plain import encoded
from qs.engine.distributed.talking.tcp import try_often
from qs.engine.hosts.descendants import end_below

_CONNECT_S = 20.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Serve until the end; returns the exit status."""
    open_standard()
    # An interrupt at the terminal is the driver's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        number, where = Where.of(sys.stdin.buffer.readline(1 << 16))
    except (ValueError, KeyError, TypeError):
        print("a node is told its driver in a line of JSON on its standard input", file=sys.stderr)
        return 2
    # Of all that is started below this process nothing can get away: it is its child in the end.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        driver, down, up = _connected(number, where)
    except (OSError, frames.FrameError) as fault:
        print(f"the driver at {where.host} cannot be reached: {fault}", file=sys.stderr)
        return ENDED
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Of threads, which numpy's library has; it ends them for a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        driver.close()
        ours.close()
        return _serve(theirs, parent)
    theirs.close()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        guard = Guard(driver, ours, child, frames.Sealer(up), frames.Opener(down))
        guard.tell(frames.Kind.UPDATE, encoded(facts(child, driver.getsockname()[0])))
        return guard.run()
    finally:
        end_below()


def _connected(number: int, where: Where) -> tuple[socket.socket, bytes, bytes]:
    """A connection to the driver, and its keys: of what it sends, and of what is sent to it."""
    driver = socket.create_connection((where.host, where.port), _CONNECT_S)
    try:
        driver.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try_often(driver.fileno())
        challenged = _exactly(driver, frames.CHALLENGE_BYTES)
        answered = frames.response(challenged, number, where.secret)
        driver.sendall(answered)
        welcomed = _exactly(driver, frames.WELCOME_BYTES)
        frames.check_welcome(welcomed, challenged, answered, where.secret)
    except BaseException:
        driver.close()
        raise
    return driver, *frames.keys(challenged, answered, where.secret)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("it closed the connection")
        data += part
    return data


def _serve(guard: socket.socket, parent: int) -> int:
    """The child's part."""
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return ENDED
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return running.serve(guard)


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
