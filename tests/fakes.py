"""Stand-ins that tests of the engine share: a clock that moves only when told, and targets that do
what real ones must not.

Targets here are importable by name (`tests.fakes:name`), so a child process can build them.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from qs.engine import Reading

MS = 1_000_000
S = 1_000_000_000


class VirtualClock:
    """A clock whose time passes only in `sleep_ns` and `advance_ns`, at once: an hour of load runs
    in a moment.
    """

    def __init__(self, now_ns: int = 1_000 * S):
        self.time_ns = now_ns

    def now_ns(self) -> int:
        return self.time_ns

    def sleep_ns(self, duration_ns: int) -> None:
        assert duration_ns >= 0
        self.time_ns += duration_ns

    advance_ns = sleep_ns


class Service:
    """A target on a virtual clock: every call takes `takes_ns`, the one that finds the clock past
    `stall_at_ns` takes longer.
    """

    def __init__(
        self, clock: VirtualClock, takes_ns: int, stall_at_ns: int | None = None, stall_ns: int = 0
    ):
        self.clock = clock
        self.takes_ns = takes_ns
        self.began_ns = clock.now_ns()
        self.stall_at_ns = stall_at_ns
        self.stall_ns = stall_ns
        self.calls = 0

    def __call__(self, sample: object) -> None:
        self.calls += 1
        if self.stall_at_ns is not None and self.clock.now_ns() - self.began_ns >= self.stall_at_ns:
            self.stall_at_ns = None
            self.clock.advance_ns(self.stall_ns)
        self.clock.advance_ns(self.takes_ns)


class Counter:
    """Counts its calls and does nothing else; safe to share between threads."""

    def __init__(self):
        self.seen: list[object] = []

    def __call__(self, sample: object) -> object:
        self.seen.append(sample)
        return sample


def nothing(sample: object) -> None:
    """A target that answers at once."""


def make_nothing(samples: list | None = None):
    """A factory of a target that answers at once and may carry samples."""

    def target(sample):
        return sample

    if samples is not None:
        target.samples = samples
    return target


class Nth:
    """A target that sleeps `pause_s` in each call and does `what` in call number `nth` (from 1), or
    from it on.
    """

    def __init__(
        self,
        nth: int,
        what: str,
        onward: bool = False,
        pause_s: float = 0.0,
        marker: str | None = None,
    ):
        self.nth = nth
        self.what = what
        self.onward = onward
        self.pause_s = pause_s
        self.marker = marker
        self.calls = 0

    def __call__(self, sample: object) -> None:
        self.calls += 1
        if self.calls == self.nth or (self.onward and self.calls > self.nth):
            misbehave(self.what, self.marker)
        elif self.pause_s:
            time.sleep(self.pause_s)


def make_nth(**options):
    return Nth(**options)


class Hooked:
    """A target that misbehaves beside its calls: in the hook of that name."""

    def __init__(self, hook: str, what: str):
        setattr(self, hook, lambda: misbehave(what))

    def __call__(self, sample: object) -> None:
        """Answers at once."""


def make_hanging_here(variable: str):
    """A factory whose products hang where the environment has a variable."""
    pause_s = 0.002
    return Nth(nth=50, what="hang" if variable in os.environ else "return", pause_s=pause_s)


def make_stopping_coroutine():
    async def target(sample):
        misbehave("stop")

    return target


def make_hooked(**options):
    return Hooked(**options)


def make_nth_in_one_instance(instance_file: str, **options):
    """A factory whose first product, over all processes, misbehaves; the others answer at once.
    `instance_file` must not exist.
    """
    try:
        os.close(os.open(instance_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return Nth(0, "return", pause_s=options.get("pause_s", 0.0))
    return Nth(**options)


_RAISES = {
    "RuntimeError": RuntimeError("as asked"),
    "ValueError": ValueError("as asked"),
    "StopIteration": StopIteration(),
    "SystemExit": SystemExit(0),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
}


def misbehave(what: str, marker: str | None = None) -> None:
    """Raise, exit, crash, kill the own process or hang, by name."""
    if marker is not None:
        Path(marker).write_text(str(os.getpid()))
    if what in _RAISES:
        raise _RAISES[what]
    if what == "exit":
        os._exit(3)
    elif what == "crash":
        ctypes.string_at(0)
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "hang":
        threading.Event().wait()
    elif what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "hang with the GIL":
        # PyDLL keeps the GIL during the call: nothing else in this process moves.
        ctypes.PyDLL(None).sleep(1_000)
    elif what != "return":
        raise AssertionError(f"a fake does not know {what!r}")


class Unprintable(Exception):
    """An exception that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Thing:
    """An object for a host: methods that answer, raise, print, or never come back."""

    def __init__(self, word: str = "hello"):
        self.word = word

    def say(self, suffix: str = "") -> str:
        return self.word + suffix

    def echo(self, value):
        return value

    def where(self) -> dict:
        return {
            "pid": os.getpid(),
            "cwd": os.getcwd(),
            "executable": sys.executable,
            "environ": dict(os.environ),
        }

    def misbehave(self, what: str) -> None:
        misbehave(what)

    def unprintable(self) -> None:
        raise Unprintable

    def flood(self, lines: int) -> int:
        for number in range(lines):
            print("a line that vendors like to print", number)
        os.write(1, b"and one past sys.stdout\n")
        os.write(2, b"and one past sys.stderr\n")
        return lines

    def give(self, what: str):
        """An answer that may not cross a process boundary."""
        import numpy as np

        return {
            "array": np.arange(3),
            "scalar": np.float64(1.5),
            "object": self,
            "lambda": lambda: None,
            "lock": threading.Lock(),
            "nested": {"deep": [1, (2, {"er": np.int64(3)})]},
        }[what]

    def start_sleeper(self) -> int:
        """Start a process that would outlive this one, and answer its id."""
        import subprocess

        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]).pid

    def start_daemon(self) -> int:
        """Start a process in a session of its own, whose parent has ended, and answer its id."""
        import subprocess

        code = (
            "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', "
            "'import time; time.sleep(1000)'], start_new_session=True, "
            "stdout=subprocess.DEVNULL).pid)"
        )
        return int(subprocess.check_output([sys.executable, "-c", code]))

    def close_standard(self) -> None:
        os.closerange(0, 3)

    def make_printing(self, instance: int):
        def target(sample):
            for fd in (1, 2):
                try:
                    os.write(fd, b"hello")
                except OSError:
                    pass

        return target

    def make(self, instance: int, **options):
        target = Nth(**options) if options else make_nothing([self.word])
        target.instance = instance
        return target


class Broken:
    """An object that cannot be built."""

    def __init__(self, what: str):
        misbehave(what)


NOTHING = object()
# What a call says that it was issued and answered at, by what is wrong with it.
TIMES = {
    "zero": lambda now: (0, 0),
    "not ended": lambda now: (now, 0),
    "backwards": lambda now: (now, now - 1),
    "before its start": lambda now: (now - S, now),
    "in the future": lambda now: (now, now + 3_600 * S),
    "a float": lambda now: (now, now + 0.5),
    "far too large": lambda now: (now, 1 << 80),
}


class StartedCall:
    """A call of `StartedTarget`."""

    def __init__(self, done):
        self.done = done
        self.issued_ns = self.sent_ns = time.perf_counter_ns()
        self.first_ns = self.last_ns = 0
        self.failure, self.detail = None, ""

    def end(self, failure: str | None = None) -> None:
        if not self.last_ns:
            self.failure = failure
            self.first_ns = self.last_ns = time.perf_counter_ns()
            self.done(self)

    def cancel(self) -> None:
        self.end("cancelled")


class StartedTarget:
    """A started target that answers after `pause_s`, and does `what` with call number `nth` (from
    1), or with each from it on.
    """

    def __init__(self, nth: int = 0, what: str = "", onward: bool = False, pause_s: float = 0.0):
        self.nth, self.what, self.onward, self.pause_s = nth, what, onward, pause_s
        self.seen: list[object] = []
        self.events: list[str] = []
        self.now = self.most = 0

    async def open(self, clients: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.events.append(f"open {clients}")

    async def close(self) -> None:
        self.events.append("close")

    def counts(self) -> dict[str, int]:
        return {"started": len(self.seen), "never": 0}

    def start(self, sample, done):
        self.seen.append(sample)
        self.now += 1
        self.most = max(self.most, self.now)
        number = len(self.seen)

        def ended(call: StartedCall) -> None:
            self.now -= 1
            done(call)

        call = StartedCall(ended)
        call.number = number
        if number == self.nth or (self.onward and number > self.nth):
            odd = self.misbehave(call)
            return call if odd is None else None if odd is NOTHING else odd
        self.loop.call_later(self.pause_s, call.end)
        return call

    def misbehave(self, call: StartedCall) -> object:
        """What is returned in place of the call, if anything."""
        what, soon = self.what, self.loop.call_soon
        if what == "failure":
            call.detail = "overloaded"
            soon(call.end, "HTTP 503")
        elif what == "not issued":
            soon(call.end, what)
        elif what == "raise":
            raise ValueError("as asked")
        elif what == "within":
            call.end()
        elif what == "raise after done":
            call.end()
            raise ValueError("as asked")
        elif what == "another within":
            call.end()
            return StartedCall(call.done)
        elif what == "twice":
            soon(call.end)
            soon(lambda: call.done(call))
        elif what == "thread":
            threading.Thread(target=call.end).start()
        elif what == "hang whatever comes":
            call.cancel = lambda: None
        elif what == "cancel raises":
            del call.__dict__["done"]
        elif what == "None":
            soon(call.end)
            return NOTHING
        elif what == "no stamps":
            del call.issued_ns
            soon(call.end)
        elif what in TIMES:
            call.issued_ns, call.last_ns = TIMES[what](call.issued_ns)
            soon(call.done, call)
        elif what == "interrupt":
            self.interrupt.set()
            soon(call.end)
        elif what == "die":
            os._exit(3)
        return None


class ReadTarget(StartedTarget):
    """A started target that reads: `took` and `number` of each request, three gaps of each, and
    what happened. From batch `bad` on it does `wrong` instead.
    """

    def __init__(self, wrong: str = "", bad: int = 1, **options):
        super().__init__(**options)
        self.wrong, self.bad = wrong, bad
        self.batches: list[list] = []

    def read(self, ended):
        self.batches.append(list(ended))
        size = len(ended)
        last = np.array([each.call.last_ns for each in ended])
        took = last - np.array([each.call.issued_ns for each in ended])
        reading = Reading(
            {"took": took, "number": np.array([each.call.number % 10 for each in ended])},
            {"gap": (np.repeat(took, 3) + 1, np.repeat(last, 3))},
            ["stop"] * size,
            {"tokens": (last, np.full(size, 7))},
            {"events": 3 * size},
        )
        if self.wrong and len(self.batches) >= self.bad:
            return self.go_wrong(reading, ended)
        return reading

    def go_wrong(self, reading, ended):
        wrong, size = self.wrong, len(ended)
        if wrong in MISREADINGS:
            MISREADINGS[wrong](reading, size)
        elif wrong == "nothing":
            return None
        elif wrong == "one raises":
            if any(each.call.number == 7 for each in ended):
                raise ValueError("as asked")
        elif wrong == "hang":
            threading.Event().wait()
        elif wrong == "slow":
            time.sleep(0.2)
        elif wrong == "interrupt":
            self.interrupt.set()
            time.sleep(0.3)
        else:
            misbehave(wrong)
        return reading


class ThreeTurns:
    """A conversation."""

    def turns(self):
        for turn in range(3):
            yield turn, MS


MISREADINGS = {
    "short": lambda reading, size: reading.values.update(took=np.zeros(size - 1, np.int64)),
    "floats": lambda reading, size: reading.values.update(took=np.full(size, np.nan)),
    "negative": lambda reading, size: reading.values.update(took=np.full(size, -2)),
    "a list": lambda reading, size: reading.values.update(took=[1] * size),
    "two dimensions": lambda reading, size: reading.values.update(took=np.zeros((size, 1), int)),
    "another's": lambda reading, size: reading.values.update(others=np.zeros(size, int)),
    "many as one": lambda reading, size: reading.values.update(gap=np.zeros(size, int)),
    "no names": lambda reading, size: setattr(reading, "values", 7),
    "no names of many": lambda reading, size: setattr(reading, "many", [1]),
    "too few instants": lambda reading, size: reading.many.update(gap=(np.ones(3, int),) * 1),
    "the future": lambda reading, size: reading.many.update(
        gap=(np.ones(1, int), np.array([1 << 62]))
    ),
    "few words": lambda reading, size: setattr(reading, "outcomes", ["stop"] * (size + 1)),
    "no words": lambda reading, size: setattr(reading, "outcomes", [None] * size),
    "minus": lambda reading, size: setattr(reading, "counts", {"events": -1}),
    "when": lambda reading, size: setattr(
        reading, "happened", {"tokens": (np.zeros(1), np.zeros(1))}
    ),
}
