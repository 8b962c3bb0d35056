"""How a node's clock stands to the driver's, from round trips that are made as long as a run lasts.

A round trip bounds the offset (node minus driver) by itself: the node read its clock after the
question was sent and before the answer was back (Cristian, "Probabilistic clock synchronization",
Distributed Computing 3, 1989). Nothing is assumed of how its time falls on the way there and the
way back. Of those that are close together the shortest is kept, since its bounds are the narrowest
(the minimum filter of NTP: RFC 5905, section 10).

Clocks drift apart. The line of a steady drift passes below every upper bound and above every lower
one, and each pair of them bounds its slope (Moon, Skelly, Towsley, "Estimation and removal of clock
skew from network delay measurements", INFOCOM 1999). Where one line fits, that is how fast the
offset may move between round trips; where none does, because a clock was set to run faster or
slower meanwhile, shorter pieces have lines of their own, and where those do not fit either, the
offset may move as fast as clocks ever do. A clock may also jump (it was set, its machine was
suspended), by more than round trips can show or by less. So what is told of a moment between two
round trips is all that either of them allows: with a jump between them the uncertainty is as large
as the jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qs.engine.result import ClockReading

# The most that two clocks drift apart: each by 500 ppm, as far as a kernel will steer one
# (MAXFREQ of RFC 5905).
MOST_DRIFT = 1_000e-6
# A drift is not quite steady: temperature and steering move it by so much at any time.
UNSTEADY = 20e-6
# So many round trips are kept, at first one of each slot; then those of two slots make one, and so
# on: one of each second from a minute to nine minutes.
MOST_KEPT = 512
SLOT_NS = 125_000_000
# One line is fitted to so many at most.
_LINE = 32
# The narrowest of so many before a round trip, and of so many after, tell of its time.
_NEAREST = 16
_LARGEST = 1 << 62


class RoundTrip(NamedTuple):
    """One question and its answer."""

    sent_ns: int  # driver's clock
    there_ns: int  # node's clock
    back_ns: int  # driver's clock


class Clock:
    """A node's clock as the driver knows it. Memory is bounded, however long it is asked."""

    def __init__(self) -> None:
        self._kept: dict[int, RoundTrip] = {}  # by number of the slot
        self._edges: list[RoundTrip] = []  # the first and the last
        self._slot_ns = SLOT_NS
        self._fit: _Fit | None = None  # of those that are kept
        self.round_trips = 0
        self.least_round_trip_ns = 0

    def add(self, trip: RoundTrip) -> None:
        """Take up a round trip, in any order. One that cannot be is left out: a node may lie."""
        sent_ns, there_ns, back_ns = trip
        if not (0 <= back_ns - sent_ns < _LARGEST and abs(there_ns) < _LARGEST):
            return
        took_ns = back_ns - sent_ns
        if not self.round_trips or took_ns < self.least_round_trip_ns:
            self.least_round_trip_ns = took_ns
        self.round_trips += 1
        edges = sorted([*self._edges, trip])
        self._edges = [edges[0], edges[-1]]
        self._fit = None
        self._keep(trip)
        while len(self._kept) > MOST_KEPT:
            self._slot_ns *= 2
            kept, self._kept = self._kept, {}
            for each in kept.values():
                self._keep(each)

    def _keep(self, trip: RoundTrip) -> None:
        slot = trip.sent_ns // self._slot_ns
        best = self._kept.get(slot)
        if best is None or trip.back_ns - trip.sent_ns < best.back_ns - best.sent_ns:
            self._kept[slot] = trip

    def reading(self, at_ns: int) -> ClockReading:
        """How it stands at an instant of the driver's clock, and how well that is known from there
        to the last round trip. Raises ValueError before the first one.
        """
        fit = self._fitted()
        offset_ns, uncertainty_ns = fit.offset(at_ns)
        return ClockReading(
            offset_ns,
            max(uncertainty_ns, fit.most_uncertain_ns(at_ns)),
            fit.drift * 1e6,
            self.round_trips,
            self.least_round_trip_ns,
        )

    def to_node(self, at_ns: int) -> int:
        """What it reads at an instant of the driver's clock."""
        return at_ns + self._fitted().offset(at_ns)[0]

    def to_driver(self, at_ns: int) -> int:
        """When, on the driver's clock, it reads that."""
        fit = self._fitted()
        found = at_ns - fit.base_ns
        for _ in range(4):  # each step leaves a thousandth of the error: the drift's share of it
            found = at_ns - fit.offset(found)[0]
        return found

    def uncertainty_ns(self, at_ns: int) -> int:
        """How far at most the offset at an instant of the driver's clock is from what is told."""
        return self._fitted().offset(at_ns)[1]

    def _fitted(self) -> _Fit:
        if self._fit is None:
            if not self._kept:
                raise ValueError("no round trip has been made yet")
            self._fit = _Fit(sorted({*self._kept.values(), *self._edges}))
        return self._fit


class _Fit:
    """The kept round trips, in order, and what they say. Columns count ns from the first one, and
    offsets from its own, so that a float holds them.
    """

    def __init__(self, trips: Sequence[RoundTrip]):
        self._from_ns = trips[0].sent_ns
        self.base_ns = trips[0].there_ns - trips[0].sent_ns
        self._sent = np.array([each.sent_ns - self._from_ns for each in trips], np.float64)
        self._back = np.array([each.back_ns - self._from_ns for each in trips], np.float64)
        there = [each.there_ns - self.base_ns for each in trips]
        # A clock is read to the nanosecond below.
        self._high = np.array([at + 1 - each.sent_ns for at, each in zip(there, trips)], np.float64)
        self._low = np.array([at - 1 - each.back_ns for at, each in zip(there, trips)], np.float64)
        self._over = np.maximum.accumulate(self._back)
        self._middle = (self._sent + self._back) / 2
        self._slowest, self._fastest = self._rates()
        lows, highs = zip(self._best(-1), self._best(1))
        self._least, self._most = np.minimum(*lows), np.maximum(*highs)

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        """How fast the offset may change about each round trip, but for jumps: from, to."""
        slowest = np.full(self._sent.size, -MOST_DRIFT)
        fastest = np.full(self._sent.size, MOST_DRIFT)
        pieces = [(0, self._sent.size)]
        while pieces:
            first, end = pieces.pop()
            rates = self._rates_of(slice(first, end)) if end - first <= _LINE else None
            if rates is not None:
                slowest[first:end], fastest[first:end] = rates
            elif end - first > 1:
                middle = (first + end) // 2
                pieces += [(first, middle), (middle, end)]
        return slowest, fastest

    def _rates_of(self, piece: slice) -> tuple[float, float] | None:
        """The least and the most slope of a line between these bounds that may have one jump, at
        any place; None if there is no such line.
        """
        apart = self._sent[piece, None] - self._back[None, piece]
        rise = self._high[piece, None] - self._low[None, piece]
        slope = np.divide(rise, apart, out=np.zeros_like(rise), where=apart != 0)
        most = _on_both_sides(np.where(apart > 0, slope, MOST_DRIFT))
        least = -_on_both_sides(np.where(apart < 0, -slope, MOST_DRIFT))
        fits = least <= most
        if not fits.any():
            return None
        slowest, fastest = least[fits].min() - UNSTEADY, most[fits].max() + UNSTEADY
        return max(float(slowest), -MOST_DRIFT), min(float(fastest), MOST_DRIFT)

    @property
    def drift(self) -> float:
        """How much faster the node's clock runs, on the whole; 0 where nothing tells."""
        return float(np.mean((self._slowest + self._fastest) / 2))

    def offset(self, at_ns: int) -> tuple[int, int]:
        """The offset at an instant of the driver's clock, and how far at most it is from that."""
        low, high = self._bounds(np.array([at_ns - self._from_ns], np.float64))
        middle = round((low[0] + high[0]) / 2)
        return self.base_ns + middle, _half_of(high[0] - low[0])

    def most_uncertain_ns(self, from_ns: int) -> int:
        """The largest uncertainty from an instant on until the last round trip."""
        # Between these moments both bounds are convex: neither is further out than at an end.
        moments = np.concatenate([self._sent, self._back, [from_ns - self._from_ns]])
        moments = np.sort(moments[moments >= from_ns - self._from_ns])
        inner = (moments[1:] + moments[:-1]) / 2
        before, after = self._sides(inner)
        widths = [0.0]
        for ends in (moments[:-1], moments[1:]):
            low, high = self._between(ends, before, after)
            widths.append(float(np.max(high - low, initial=0.0)))
        return _half_of(max(widths))

    def _bounds(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least and the most that the offset can be at these moments."""
        return self._between(moments, *self._sides(moments))

    def _sides(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The last round trip that was over, and the next that began; where there is none, the
        first or last of all.
        """
        before = np.searchsorted(self._over, moments, "right") - 1
        after = np.searchsorted(self._sent, moments, "left")
        return np.maximum(before, 0), np.minimum(after, self._sent.size - 1)

    def _between(
        self, moments: np.ndarray, before: np.ndarray, after: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What either of two round trips allows: the offset may have jumped between them."""
        lows, highs = zip(*(self._from(each, moments) for each in (before, after)))
        return np.minimum(*lows), np.maximum(*highs)

    def _from(self, number: np.ndarray, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is known about the time of a round trip, at other moments."""
        since = moments - self._middle[number]
        rates = since * self._slowest[number], since * self._fastest[number]
        return self._least[number] + np.minimum(*rates), self._most[number] + np.maximum(*rates)

    def _best(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The bounds at the middle of each round trip by itself or a narrower one near by, of those
        before it (`step` -1) or after it (1).
        """
        size = self._sent.size
        near = np.arange(size)[:, None] + step * np.arange(_NEAREST)[None, :]
        near = np.clip(near, 0, size - 1)
        slowest, fastest = self._slowest[near], self._fastest[near]
        since_sent = self._middle[:, None] - self._sent[near]
        since_back = self._middle[:, None] - self._back[near]
        high = self._high[near] + np.maximum(since_sent * fastest, since_sent * slowest)
        low = self._low[near] + np.minimum(since_back * fastest, since_back * slowest)
        best = np.arange(size), np.argmin(high - low, axis=1)
        return low[best], high[best]


def _on_both_sides(limits: np.ndarray) -> np.ndarray:
    """Of limits (n, n) for each two of n round trips: the lowest before a place and after it, with
    both of the two on one side. By place (n + 1).
    """

    def running(found: np.ndarray) -> np.ndarray:
        lowest = np.minimum.accumulate(np.minimum.accumulate(found, axis=0), axis=1)
        return np.concatenate([[MOST_DRIFT], lowest.diagonal()])

    return np.minimum(running(limits), running(limits[::-1, ::-1])[::-1])


def _half_of(width_ns: float) -> int:
    """Rounded up, with the nanosecond that rounding the middle may cost."""
    return int(np.ceil(width_ns / 2)) + 1
