"""Runs an installer: its lines are passed on as they come, its last ones kept, and it ends when it
is told to.

It runs in a session of its own, so that a Ctrl-C at the terminal reaches it through us, in order,
and whatever it started ends with it.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

LIMIT_S = 7200.0  # compiling a large package from source takes an hour
LAST_LINES = 20
_LOOK_S = 0.2
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class InstallFailed(Exception):
    """The installer did not succeed; `tail` holds its last lines."""

    def __init__(self, how: str, tail: Sequence[str]):
        super().__init__(how)
        self.tail = tuple(tail)


class Stopped(Exception):
    """The caller gave up before it was done."""


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    heard: Callable[[str], None],
    stop: threading.Event | None = None,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a command to its good end. InstallFailed otherwise, Stopped soon after `stop` is set.

    keep_open   descriptors that the command inherits
    """
    tail: deque[str] = deque(maxlen=LAST_LINES)
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
    except OSError as error:
        raise InstallFailed(f"{command[0]} cannot be run: {error.strerror}", ()) from None
    try:
        for line in _lines(process, stop):
            tail.append(line)
            heard(line)
        status = process.wait()
    except TimeoutError:
        raise InstallFailed(f"no end after {LIMIT_S / 3600:.0f} h", tail) from None
    finally:
        _end(process)
    if status:
        how = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
        raise InstallFailed(how, tail)


def _lines(process: subprocess.Popen[bytes], stop: threading.Event | None) -> Iterator[str]:
    """What it prints, until it has ended; a process that it left behind with our pipe is not waited
    for.
    """
    assert process.stdout is not None
    limit = time.monotonic() + LIMIT_S
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            if time.monotonic() > limit:
                raise TimeoutError
            if not selector.select(_LOOK_S):
                if process.poll() is not None:
                    break
                continue
            read = os.read(process.stdout.fileno(), 65536)
            if not read:
                break
            *whole, pending = re.split(rb"[\r\n]+", pending + read)
            yield from filter(None, map(_text, whole))
    if _text(pending):
        yield _text(pending)


def _text(raw: bytes) -> str:
    return _TERMINAL_CODES.sub("", raw.decode(errors="replace")).rstrip()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
