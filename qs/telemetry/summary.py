"""What all sources together say of a measured phase: the machine's power and energy, and how busy
its CPUs and its accelerators were.

Power that several channels tell of is counted once:

1.  processors: the packages, with the memory beside them; where no package can be read the platform
    (psys), which includes both;
2.  accelerators: as the backend states them, if it does; otherwise as the system shows them;
3.  where neither is known, a meter of the whole machine.

Idle power is in it: nothing is subtracted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from qs.telemetry.channel import Part, Unit, Unreadable
from qs.telemetry.follower import Log
from qs.telemetry.series import Implausible, Line, Phase, line_of

MOST_POINTS = 300  # of the series in the result
WINDOW_S = 1.0  # of the peak
NO_POWER = "power"


@dataclass(frozen=True)
class Taken:
    """The log of one source."""

    source: str
    log: Log
    stated: bool = False  # by the backend itself


@dataclass(frozen=True)
class Reading:
    """One channel over the measured phase."""

    source: str
    name: str
    unit: str
    counter: bool
    counted: bool  # in the machine's power
    mean: float
    peak: float
    readings: int
    energy_j: float | None = None


@dataclass(frozen=True)
class Point:
    """A window of the series: its start, and the means in it."""

    at_s: float
    power_w: float | None
    cpu_percent: float | None
    device_percent: float | None


@dataclass(frozen=True)
class Summary:
    """None: it could not be read, and `unreadable` says why."""

    length_s: float
    window_s: float  # of the peak
    mean_power_w: float | None = None
    peak_power_w: float | None = None
    energy_j: float | None = None
    cpu_percent: float | None = None
    device_percent: float | None = None
    counted: tuple[str, ...] = ()  # what the power is the sum of
    readings: tuple[Reading, ...] = ()
    points: tuple[Point, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    cost_s: float = 0.0  # CPU time of our threads that read
    stated_cost_s: float | None = None  # the same of the backend's own

    @property
    def cost_share(self) -> float:
        """Of one core."""
        return self.cost_s / self.length_s if self.length_s > 0 else 0.0


@dataclass(frozen=True)
class _Known:
    source: str
    line: Line
    stated: bool


def summarised(
    taken: Iterable[Taken], phase: Phase, unreadable: Sequence[Unreadable] = ()
) -> Summary:
    """Everything that the logs of a case come to."""
    known: list[_Known] = []
    missing = list(unreadable)
    lost: set[Part] = set()  # of which a channel was dropped
    taken = list(taken)
    for each in taken:
        if each.log.fault and not each.log.channels:
            missing.append(Unreadable(each.source, each.log.fault))
        at_ns = np.array(each.log.at_ns, np.int64)
        for channel, values in zip(each.log.channels, each.log.values, strict=True):
            try:
                line = line_of(channel, at_ns, np.array(values, float)[: at_ns.size], phase)
            except Implausible as error:
                why = f"{error}; {each.log.fault}" if each.log.fault else str(error)
                missing.append(Unreadable(f"{each.source} {channel.name}", why))
                lost.add(channel.part)
                continue
            known.append(_Known(each.source, line, each.stated))
    power, no_sum = _counted(known, lost)
    if no_sum:
        missing.append(Unreadable(NO_POWER, no_sum))
    ends_s = phase.windows(WINDOW_S)
    return Summary(
        length_s=phase.length_s,
        window_s=min(WINDOW_S, phase.length_s),
        **_power(power, phase, ends_s),
        cpu_percent=_mean(known, Part.CPU_USE, phase),
        device_percent=_mean(known, Part.DEVICE_USE, phase),
        counted=tuple(f"{each.source} {each.line.channel.name}" for each in power),
        readings=tuple(_reading(each, each in power, phase, ends_s) for each in known),
        points=tuple(_points(known, power, phase)),
        unreadable=tuple(missing),
        cost_s=sum(each.log.cpu_ns for each in taken if not each.stated) / 1e9,
        stated_cost_s=next((each.log.cpu_ns / 1e9 for each in taken if each.stated), None),
    )


def _counted(known: Sequence[_Known], lost: set[Part]) -> tuple[list[_Known], str]:
    """The lines whose sum is the machine's power; or why there is none though some are known."""

    def of(part: Part) -> list[_Known]:
        return [
            each
            for each in known
            if each.line.channel.part is part and each.line.channel.unit is Unit.WATT
        ]

    if Part.PACKAGE in lost and of(Part.PACKAGE):
        return [], "the readings of a package were dropped, and the sum of the others is not all"
    packages = of(Part.PACKAGE)
    # A driver may show the counters that RAPL shows too.
    processors = [each for each in packages if each.source == packages[0].source]
    processors = processors + of(Part.DRAM) if processors else of(Part.PLATFORM)[:1]
    accelerators = of(Part.ACCELERATOR)
    if any(each.stated for each in accelerators):
        accelerators = [each for each in accelerators if each.stated]
        # Joules that the backend counts say more than the watts it reads now and then.
        counters = [each for each in accelerators if each.line.channel.counter]
        accelerators = counters[:1] or accelerators[:1]
    return processors + accelerators or of(Part.MACHINE)[:1], ""


def _power(power: Sequence[_Known], phase: Phase, ends_s: np.ndarray) -> dict[str, float | None]:
    if not power:
        return {"mean_power_w": None, "peak_power_w": None, "energy_j": None}
    energy_j = sum(_total(each.line, phase) for each in power)
    peaks = np.sum([each.line.peaks(ends_s) for each in power], axis=0)
    return {
        "mean_power_w": energy_j / phase.length_s,
        "peak_power_w": float(np.max(peaks)),
        "energy_j": energy_j,
    }


def _total(line: Line, phase: Phase) -> float:
    return float(line.integral(np.array([0.0, phase.length_s]))[1])


def _mean(known: Sequence[_Known], part: Part, phase: Phase) -> float | None:
    """Of all channels of that part, as the backend states them if it does."""
    found = [each for each in known if each.line.channel.part is part]
    found = [each for each in found if each.stated] or found
    if not found:
        return None
    return sum(_total(each.line, phase) for each in found) / len(found) / phase.length_s


def _reading(each: _Known, counted: bool, phase: Phase, ends_s: np.ndarray) -> Reading:
    line = each.line
    total = _total(line, phase)
    return Reading(
        each.source,
        line.channel.name,
        line.channel.own_unit or line.channel.unit.value,
        line.channel.counter,
        counted,
        total / phase.length_s,
        float(np.max(line.peaks(ends_s))),
        int(line.at_s.size),
        total if line.channel.unit is Unit.WATT else None,
    )


def _points(known: Sequence[_Known], power: Sequence[_Known], phase: Phase) -> Iterable[Point]:
    """A point a second, fewer in long cases; none of a case that is too short for a curve."""
    ends_s = phase.windows(max(WINDOW_S, phase.length_s / MOST_POINTS))
    if ends_s.size < 4:
        return
    total = np.sum([each.line.means(ends_s) for each in power], axis=0) if power else None
    uses = []
    for part in (Part.CPU_USE, Part.DEVICE_USE):
        found = [each for each in known if each.line.channel.part is part]
        found = [each for each in found if each.stated] or found
        uses.append(np.mean([each.line.means(ends_s) for each in found], axis=0) if found else None)
    for at, start_s in enumerate(ends_s[:-1]):
        yield Point(
            float(start_s),
            *(None if each is None else float(each[at]) for each in (total, *uses)),
        )
