"""What nodes build and run in tests: objects that answer, and some that do what none should."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Two(Exception):
    """One that cannot be unpickled: it wants two arguments, and keeps what cannot be pickled."""

    def __init__(self, one: str, two: Any):
        super().__init__(one)
        self.two = two


class Place:
    """An object of a node's process that is entered and left."""

    def __init__(self, note: str = "", fault: BaseException | None = None):
        if fault is not None:
            raise fault
        self.note = Path(note) if note else None

    async def __aenter__(self) -> Place:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.note is not None:
            self.note.write_text("left")

    def say(self, value: Any = None) -> dict[str, Any]:
        return {"pid": os.getpid(), "value": value}

    async def say_later(self, value: Any) -> Any:
        await asyncio.sleep(0.01)
        return value

    async def target_later(self, seconds: float) -> Any:
        await asyncio.sleep(seconds)
        return pausing()

    def raise_(self, fault: BaseException) -> None:
        raise fault

    async def raise_later(self, fault: BaseException) -> None:
        raise fault

    def raise_two(self) -> None:
        raise Two("one", lambda: 0)

    def give(self) -> Any:
        return object()

    def misbehave(self) -> str:
        """Print a lot, close what is printed to, fork, and start what nobody ends."""
        for _ in range(1_000):
            print("x" * 1_000)
        sys.stderr.write("y" * 100_000)
        for fd in (1, 2):
            os.close(fd)
        if not os.fork():
            return "from a fork"
        return "well"

    async def fork_in_the_loop(self) -> str:
        return "child" if not os.fork() else "parent"

    def start_some(self) -> list[int]:
        """Processes that leave their parent, its session and its environment."""
        found = []
        for command in (["sleep", "1000"], ["sh", "-c", "trap '' TERM HUP; sleep 1001"]):
            started = subprocess.Popen(command, start_new_session=True, env={}, stdin=-3)
            found.append(started.pid)
        read, write = os.pipe()
        if not os.fork():
            os.setsid()
            grandchild = os.fork()
            if grandchild:
                os.write(write, str(grandchild).encode())
                os._exit(0)
            os.close(write)
            time.sleep(1_000)
            os._exit(0)
        os.wait()
        os.close(write)
        found.append(int(os.read(read, 20)))
        os.close(read)
        return found

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def sleep_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def die(self, number: int) -> None:
        os.kill(os.getpid(), number)

    def exit(self, status: int) -> None:
        os._exit(status)

    async def stray(self) -> str:
        """Leave a task behind that would end the loop."""

        async def end() -> None:
            raise SystemExit(5)

        self.task = asyncio.ensure_future(end())
        await asyncio.sleep(0.01)
        return "well"

    def target(self, pause_s: float = 0.0, kind: str = "") -> Any:
        if kind == "async":
            return pausing_coroutine(pause_s)
        return pausing(pause_s)

    def no_target(self, fault: BaseException) -> Any:
        raise fault


def pausing(pause_s: float = 0.001) -> Any:
    return lambda sample: time.sleep(pause_s)


def pausing_coroutine(pause_s: float = 0.001) -> Any:
    async def pause(sample: Any) -> None:
        await asyncio.sleep(pause_s)

    return pause


def raising(fault: BaseException) -> Any:
    raise fault


def killing(signal_number: int = signal.SIGKILL) -> Any:
    """Ends its process at the hundredth request."""
    count = 0

    def one(sample: Any) -> None:
        nonlocal count
        count += 1
        if count == 100:
            os.kill(os.getpid(), signal_number)
        time.sleep(0.001)

    return one


def summing(sample: int) -> int:
    return sample + 1


class Unreadable:
    """It can be pickled here, and not be read on a node."""

    def __reduce__(self) -> Any:
        return (os.getpgid, (1 << 30,))


def null() -> Any:
    """Does nothing."""
    return lambda sample: None


def null_coroutine() -> Any:
    async def nothing(sample: Any) -> None:
        pass

    return nothing
