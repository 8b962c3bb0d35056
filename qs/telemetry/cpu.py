"""How busy the CPUs were that this process may use (/proc/stat): with everything that ran on them,
not with the run alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from qs.engine.machine import host_cpus, usable_cpus
from qs.telemetry.channel import NAN, Channel, Opened, Part, Unit, Unreadable
from qs.telemetry.files import reason

FILE = "proc/stat"
BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq; guests are part of user and nice
MOST_BYTES = 1 << 18
NAME = "CPUs"


class CpuTimes:
    """Percent-seconds of busy CPUs: 100 % is all of them."""

    channels = (Channel(NAME, Unit.PERCENT, Part.CPU_USE, counter=True),)

    def __init__(self, path: Path, cpus: Iterable[int], ticks_per_s: int):
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        chosen = frozenset(cpus)
        # The first line is the sum of all.
        self._lines = {b"cpu"} if len(chosen) >= host_cpus() else {b"cpu%d" % cpu for cpu in chosen}
        self._factor = 100.0 / ticks_per_s / max(len(chosen), 1)

    def read(self) -> list[float]:
        busy = 0
        found = False
        for line in os.pread(self._fd, MOST_BYTES, 0).splitlines():
            name, *fields = line.split()
            if not name.startswith(b"cpu"):
                break  # a long line of interrupts follows
            if name in self._lines:
                busy += sum(int(fields[at]) for at in BUSY)
                found = True
        return [busy * self._factor if found else NAN]

    def close(self) -> None:
        os.close(self._fd)


def open_cpu(root: Path, cpus: Iterable[int] | None = None) -> Opened:
    """The CPUs of this process's mask, or those given."""
    try:
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        source = CpuTimes(root / FILE, usable_cpus() if cpus is None else cpus, ticks_per_s)
        source.read()
        return Opened(source)
    except OSError as error:
        return Opened(None, (Unreadable("CPU times", reason(error)),))
    except (ValueError, IndexError, AttributeError):
        return Opened(None, (Unreadable("CPU times", "this system has no /proc/stat"),))
