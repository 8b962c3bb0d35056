"""The process that holds Ray: `python -m qs.engine.distributed.ray.keeping FD FOLDER`, a child of
the driver, which does what that asks for (holder.py). FOLDER is for a cluster of our own.

Lines of JSON come in by standard input, and go out by the descriptor FD; what Ray prints goes to
standard error. It ends all that it has started when its input ends, or its parent. The driver does
not import Ray: Ray's handlers, threads and aborts are not in the process that keeps the result.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.ray.cluster import GOODBYE
from qs.engine.distributed.ray.holder import Holder, chain
from qs.engine.hosts.descendants import end_below

_END_LIMIT_S = 4.0
_LOOK_S = 0.5
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    up = os.fdopen(int(sys.argv[1]), "w")
    folder = Path(sys.argv[2])
    lock = threading.Lock()

    def tell(**message: Any) -> None:
        try:
            with lock:
                up.write(json.dumps(message) + "\n")
                up.flush()
        except (BrokenPipeError, ValueError):
            pass  # the driver is gone, and so are we in a moment

    # What Ray's processes leave behind comes to this one, to be ended.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver's to handle
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", "10")
    holder = Holder(folder, tell, partial(leave, folder))
    commands: queue.Queue[dict[str, Any] | None] = queue.Queue()
    opened = threading.Event()
    reading = (commands, opened, os.getppid(), folder)
    reader = threading.Thread(target=_read, args=reading, daemon=True)
    reader.start()
    while True:
        message = commands.get()
        if message is None:
            break
        question, do = message.pop("id"), message.pop("do")
        try:
            answer = getattr(holder, do)(**message)
        except NodesError as fault:
            tell(id=question, error=str(fault))
        except Exception as fault:
            tell(id=question, error=f"{type(fault).__name__}: {chain(fault)}")
        else:
            tell(id=question, answer=answer)
            opened.set()
    try:
        holder.close()
    finally:
        leave(folder)


def _read(
    commands: queue.Queue[dict[str, Any] | None],
    opened: threading.Event,
    parent: int,
    folder: Path,
) -> None:
    """Commands, until their end or the parent's; then whatever the main thread does may take its
    time, but not long, and no time while a cluster is still being opened.
    """
    clearing: list[str] = []
    left, killed = b"", True
    while True:
        ready, _, _ = select.select([0], [], [], _LOOK_S)
        if os.getppid() != parent:
            break
        if not ready:
            continue
        data = os.read(0, 1 << 16)
        if not data:
            break
        *lines, left = (left + data).split(b"\n")
        for line in lines:
            killed = line != GOODBYE
            if killed:
                message = json.loads(line)
                clearing = message.get("asked", {}).get("when_killed") or clearing
                commands.put(message)
    if killed and clearing:
        _clear_up(clearing)
    commands.put(None)
    time.sleep(_END_LIMIT_S if opened.is_set() else 0.0)
    leave(folder)


def _clear_up(command: list[str]) -> None:
    """Run what clears up after a driver that is gone without a goodbye."""
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=_END_LIMIT_S, check=False)
    except (OSError, subprocess.SubprocessError) as fault:
        print(f"{command[0]}: {fault}", file=sys.stderr)


def leave(folder: Path) -> None:
    """End what is still below this process, remove its folder, and end."""
    try:
        end_below()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
