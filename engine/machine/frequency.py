"""Whether the CPUs ran as fast as they should, as far as the kernel shows it (Linux, sysfs). Most
virtual machines show nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qs.engine.machine.reading import number

CPUS = Path("/sys/devices/system/cpu")
# Reading a CPU's frequency may interrupt it; a few tell whether the machine throttles.
MOST_CPUS = 8


class FrequencyLog:
    """The frequencies seen during a run, and its thermal throttling events. Make it before the run
    and call `look` now and then.
    """

    def __init__(self, cpus: Iterable[int], folder: Path = CPUS):
        self._folder = folder
        self._cpus = [
            cpu
            for cpu in sorted(cpus)[:MOST_CPUS]
            if (folder / f"cpu{cpu}/cpufreq/scaling_cur_freq").exists()
        ]
        self._events = self._thermal_events()
        self.base_mhz = max(
            filter(None, (self._mhz(cpu, "base_frequency") for cpu in self._cpus)), default=None
        )
        self.seen_mhz: list[float] = []

    def look(self) -> None:
        """Note the highest frequency of the watched CPUs: an idle CPU runs slowly, which is not a
        fault.
        """
        highest = max(
            filter(None, (self._mhz(cpu, "scaling_cur_freq") for cpu in self._cpus)), default=None
        )
        if highest is not None:
            self.seen_mhz.append(highest)

    def thermal_events(self) -> int | None:
        """Throttling events of all CPUs since this log was made; None if the kernel does not count
        them.
        """
        now = self._thermal_events()
        return None if now is None or self._events is None else now - self._events

    def _thermal_events(self) -> int | None:
        counts = [
            number(path)
            for path in self._folder.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
        ]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    def _mhz(self, cpu: int, name: str) -> float | None:
        khz = number(self._folder / f"cpu{cpu}/cpufreq/{name}")
        return None if khz is None else khz / 1000
