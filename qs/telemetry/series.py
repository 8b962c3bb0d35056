"""What the readings of one channel come to over the measured phase: mean, peak, energy. Pure
functions of times and values, which are not trusted: a driver or a backend may say anything.

    counter   energy = c(end) - c(start), each between the two readings around it
    gauge     energy = the integral of straight lines between readings (trapezoid rule)
    mean      energy / length of the phase
    peak      counter: the highest mean over a window of about a second; gauge: the largest reading
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qs.telemetry.channel import Channel, Unit

NS = 1e9
SHORTEST_COUNTER_S = 0.1
# Meters that give a power average it themselves, over up to a second.
SHORTEST_GAUGE_S = 1.0
LEAST_COVERED = 0.9
# No machine has more. A value above is a driver's or a backend's mistake.
MOST = {
    Unit.WATT: 1e6,
    Unit.PERCENT: 101.0,
    Unit.CELSIUS: 1e3,
    Unit.BYTES: 1e16,
    Unit.OTHER: 1e18,
}
LEAST_CELSIUS = -273.15


class Implausible(ValueError):
    """Why readings count for nothing, in words."""


@dataclass(frozen=True)
class Phase:
    """The measured phase: perf_counter_ns of its start, and its length."""

    start_ns: int
    length_s: float

    def windows(self, length_s: float) -> np.ndarray:
        """The ends of windows of that length, from 0 to the end of the phase; what is left over
        belongs to the last one.
        """
        count = max(int(self.length_s / length_s + 1e-6), 1)
        return np.append(np.arange(count) * length_s, self.length_s)


@dataclass(frozen=True)
class Line:
    """A channel's plausible readings: seconds from the start of the phase, and the value, or what
    was counted since the first reading.
    """

    channel: Channel
    at_s: np.ndarray
    values: np.ndarray

    def integral(self, ends_s: np.ndarray) -> np.ndarray:
        """Of the gauge, or of the counter's rate, from the first of these times to each of them.
        Outside of the readings the nearest one, or the counter's mean rate, is taken to hold.
        """
        at_s, sums = self.at_s, self.values
        if self.channel.counter:
            per_s = sums[-1] / (at_s[-1] - at_s[0])
            before_s, after_s = min(ends_s[0], at_s[0]), max(ends_s[-1], at_s[-1])
            sums = np.concatenate(
                [
                    [(before_s - at_s[0]) * per_s],
                    sums,
                    [sums[-1] + (after_s - at_s[-1]) * per_s],
                ]
            )
            at_s = np.concatenate([[before_s], at_s, [after_s]])
        else:
            at_s = np.union1d(self.at_s, ends_s)
            values = np.interp(at_s, self.at_s, self.values)
            steps = np.diff(at_s) * (values[1:] + values[:-1]) / 2.0
            sums = np.concatenate([[0.0], np.cumsum(steps)])
        found = np.interp(ends_s, at_s, sums)
        return found - found[0]

    def means(self, ends_s: np.ndarray) -> np.ndarray:
        """The mean in each window between these times."""
        found = np.diff(self.integral(ends_s)) / np.diff(ends_s)
        # CPU times are counted in ticks of 10 ms: a full second may hold one too many.
        return np.minimum(found, 100.0) if self.channel.unit is Unit.PERCENT else found

    def peaks(self, ends_s: np.ndarray) -> np.ndarray:
        """The peak in each window: a counter's mean, a gauge's largest reading (its mean where
        there is none).
        """
        found = self.means(ends_s)
        if not self.channel.counter:
            place = np.searchsorted(ends_s, self.at_s, "right") - 1
            inside = (self.at_s >= 0.0) & (self.at_s <= ends_s[-1])
            np.maximum.at(found, np.clip(place[inside], 0, found.size - 1), self.values[inside])
        return found


def line_of(channel: Channel, at_ns: np.ndarray, values: np.ndarray, phase: Phase) -> Line:
    """The readings, if they can be what they say and cover the phase; otherwise raises
    Implausible.
    """
    known = ~np.isnan(values)
    at_s, values = (at_ns[known] - phase.start_ns) / NS, values[known]
    if not values.size:
        raise Implausible("it gave no reading")
    most, least = MOST[channel.unit], 0.0
    if channel.unit is Unit.CELSIUS:
        least = LEAST_CELSIUS
    elif channel.unit is Unit.OTHER:
        least = -most
    strange = ~np.isfinite(values) | (values < least)
    if not channel.counter:
        strange |= values > most
    if strange.any():
        raise Implausible(f"it read {values[strange][0]:g} {channel.unit.value}".rstrip())
    if channel.counter:
        values = _counted(channel, at_s, values, most)
    shortest_s = SHORTEST_COUNTER_S if channel.counter else SHORTEST_GAUGE_S
    if channel.unit is Unit.WATT and phase.length_s < shortest_s:
        takes = f"a reading of power takes {shortest_s:g} s"
        raise Implausible(f"the case was measured for {phase.length_s:.2g} s, and {takes}")
    _check_covered(channel, at_s, phase)
    if channel.unit is Unit.WATT and not np.any(values > 0.0):
        raise Implausible("the counter stood still" if channel.counter else "it always read 0 W")
    if channel.unit is Unit.PERCENT and not channel.counter:
        values = np.minimum(values, 100.0)
    return Line(channel, at_s, values)


def _counted(channel: Channel, at_s: np.ndarray, values: np.ndarray, most: float) -> np.ndarray:
    """What was counted since the first reading. A counter that begins anew after its largest value
    has wrapped where it went back; any other that goes back tells nothing.
    """
    steps = np.diff(values)
    back = steps < 0
    if back.any():
        if channel.wraps_at is None:
            raise Implausible("the counter went backwards")
        steps = np.where(back, steps + channel.wraps_at, steps)
    seconds = np.diff(at_s)
    # Two readings of one moment may see two updates of the counter.
    if np.any(steps < 0) or np.any(steps > most * np.maximum(seconds, 0.05)):
        raise Implausible(
            "the counter went backwards"
            if back.any()
            else "the counter jumped further than any machine can"
        )
    return np.concatenate([[0.0], np.cumsum(steps)])


def _check_covered(channel: Channel, at_s: np.ndarray, phase: Phase) -> None:
    if channel.counter and (at_s.size < 2 or at_s[-1] <= at_s[0]):
        raise Implausible("it was read only once")
    covered_s = min(at_s[-1], phase.length_s) - max(at_s[0], 0.0)
    # What a gauge shows holds until it is read again.
    slack_s = 0.0 if channel.counter else SHORTEST_GAUGE_S
    if covered_s + slack_s < LEAST_COVERED * phase.length_s:
        seconds = f"{max(covered_s, 0.0):.1f} of {phase.length_s:.1f} s"
        raise Implausible(f"its readings cover {seconds} of the measured phase")
