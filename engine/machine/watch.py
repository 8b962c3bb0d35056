"""What the machine did while a run was measured: CPU time of the run and of everything else, steal,
switches, throttling.

Read by the conductor just before the start and just after the end, when no request is in flight;
between them only a frequency file is read, about once a second and only where there is one. That is
far below a thousandth of a core. It sees what the system shows: in a container the machine's
figures may be those of the whole host.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qs.engine.machine.cgroup import cpu_folders, throttled_s
from qs.engine.machine.cores import host_cpus, usable_cores, usable_cpus
from qs.engine.machine.frequency import FrequencyLog
from qs.engine.machine.times import HostTimes, WorkerUsage, family_s, host_times

_LOOK_S = 1.0


@dataclass(frozen=True)
class GroupUse:
    """What the workers of one process used."""

    kind: str
    workers: int
    cpu_s: float
    # how late a thread beside the workers typically woke up; see times.WakeUps
    wake_up_ns: int | None = None
    # how long they were ready to run while others had the cores
    delayed_s: float = 0.0


@dataclass(frozen=True)
class CpuUse:
    """CPU seconds and events of one measured phase. None: this system does not say, or psutil is
    not installed.
    """

    elapsed_s: float
    # how many cores this process may use: affinity mask and quota
    cores: float
    # how many CPUs host_busy_s and steal_s are summed over
    host_cpus: int
    # the worker threads, with what the target did in them; threads that the target started are only
    # in run_s
    workers_s: float
    # the conducting thread, without the workers that run in it
    conductor_s: float
    # this process and all its descendants
    run_s: float | None = None
    # everything on the machine, including the run
    host_busy_s: float | None = None
    # wanted by this virtual machine and given to others by its host
    steal_s: float | None = None
    # of the worker threads: a voluntary switch waits for something, an involuntary one lost the
    # core to another thread
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    # how long the CPU quota of a control group held this process back
    quota_held_back_s: float | None = None
    # how often CPUs slowed down because of heat
    thermal_events: int | None = None
    # the nominal frequency, and that of the fastest CPU as seen about once a second
    base_mhz: float | None = None
    seen_mhz: tuple[float, ...] = ()
    groups: tuple[GroupUse, ...] = ()

    @property
    def others_s(self) -> float | None:
        """CPU time of all that is not this run."""
        if self.host_busy_s is None or self.run_s is None:
            return None
        return max(self.host_busy_s - self.run_s, 0.0)

    @property
    def idle_cpus(self) -> float | None:
        """CPUs of the machine that nobody used, on average."""
        if self.host_busy_s is None or not self.elapsed_s:
            return None
        return max(
            self.host_cpus - (self.host_busy_s + (self.steal_s or 0.0)) / self.elapsed_s, 0.0
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the frequencies as their least, their last and their number."""
        plain = asdict(self)
        seen = plain.pop("seen_mhz")
        plain["frequency_mhz"] = (
            {"least": min(seen), "last": seen[-1], "looks": len(seen)} if seen else None
        )
        plain["others_s"] = self.others_s
        return plain


@dataclass(frozen=True)
class _End:
    """What was read when the run ended."""

    at_s: float
    own_ns: int
    host: HostTimes | None
    family_s: float | None
    held_back_s: float | None
    thermal_events: int | None


class Watch:
    """Made when the workers are ready; `tick` now and then during the run, `end` where the run goes
    on without being measured, `result` after it.
    """

    def __init__(self) -> None:
        self._frequency = FrequencyLog(usable_cpus())
        self._folders = cpu_folders()
        self._held_back = throttled_s(self._folders)
        self._family = family_s()
        self._host = host_times()
        self._began_s = self._looked_s = time.perf_counter()
        self._own_ns = time.thread_time_ns()
        self._end: _End | None = None

    def tick(self) -> None:
        now = time.perf_counter()
        if now - self._looked_s >= _LOOK_S and self._end is None:
            self._looked_s = now
            self._frequency.look()

    def end(self) -> None:
        """What comes after this is not the run's."""
        self._end = self._end or _End(
            time.perf_counter(),
            time.thread_time_ns(),
            host_times(),
            family_s(),
            throttled_s(self._folders),
            self._frequency.thermal_events(),
        )

    def result(
        self, kinds: Sequence[str], by_group: Sequence[Sequence[WorkerUsage]], here: Sequence[bool]
    ) -> CpuUse:
        """What was used since this watch was made, until its end.

        kinds, by_group  each group's pool kind and its workers' reports
        here             whether a group's workers ran in the thread that conducts
        """
        self.end()
        end = self._end
        assert end is not None
        own_ns = end.own_ns - self._own_ns
        elapsed_s = end.at_s - self._began_s
        groups = []
        for kind, reports in zip(kinds, by_group):
            cpu_s = sum(report.cpu_ns for report in reports) / 1e9
            groups.append(
                GroupUse(
                    kind,
                    len(reports),
                    cpu_s,
                    reports[0].wake_up_ns if reports else None,
                    sum(report.delayed_ns for report in reports) / 1e9,
                )
            )
        inside_s = sum(group.cpu_s for group, in_here in zip(groups, here) if in_here)
        all_reports = [report for reports in by_group for report in reports]
        return CpuUse(
            elapsed_s=elapsed_s,
            cores=usable_cores(),
            host_cpus=host_cpus(),
            workers_s=sum(group.cpu_s for group in groups),
            conductor_s=max(own_ns / 1e9 - inside_s, 0.0),
            run_s=_since(self._family, end.family_s),
            host_busy_s=_since(_busy_s(self._host), _busy_s(end.host)),
            steal_s=_since(_steal_s(self._host), _steal_s(end.host)),
            voluntary_switches=sum(report.voluntary_switches for report in all_reports),
            involuntary_switches=sum(report.involuntary_switches for report in all_reports),
            quota_held_back_s=_since(self._held_back, end.held_back_s),
            thermal_events=end.thermal_events,
            base_mhz=self._frequency.base_mhz,
            seen_mhz=tuple(self._frequency.seen_mhz),
            groups=tuple(groups),
        )


def _busy_s(times: HostTimes | None) -> float | None:
    return None if times is None else times.busy_s


def _steal_s(times: HostTimes | None) -> float | None:
    return None if times is None else times.steal_s


def _since(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else max(now - before, 0.0)
