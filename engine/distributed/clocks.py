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
_LINE = 64
# So few do not tell a drift from a jump.
_LEAST_LINE = 4
# A moment is told by the best of so many before it, and of so many after.
_NEAREST = 8
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
            self._fit = None

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
            self._fit = _Fit([self._kept[slot] for slot in sorted(self._kept)])
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
        self._high = np.array([at - each.sent_ns for at, each in zip(there, trips)], np.float64)
        self._low = np.array([at - each.back_ns for at, each in zip(there, trips)], np.float64)
        self._slowest, self._fastest = self._rates()

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        """How fast the offset may change about each round trip: from, to."""
        slowest = np.full(self._sent.size, -MOST_DRIFT)
        fastest = np.full(self._sent.size, MOST_DRIFT)
        pieces = [(0, self._sent.size)]
        while pieces:
            first, end = pieces.pop()
            if end - first < _LEAST_LINE:
                continue
            least, most, hidden = self._slopes(slice(first, end))
            if end - first <= _LINE and least <= most:
                slowest[first:end] = max(least - UNSTEADY - hidden, -MOST_DRIFT)
                fastest[first:end] = min(most + UNSTEADY + hidden, MOST_DRIFT)
            else:
                middle = (first + end) // 2
                pieces += [(first, middle), (middle, end)]
        return slowest, fastest

    def _slopes(self, piece: slice) -> tuple[float, float, float]:
        """The least and the most slope of a line between these bounds; the least is above the most
        if there is no such line. And how much slope a jump could hide that is smaller than they
        are wide.
        """
        apart = self._sent[piece, None] - self._back[None, piece]
        rise = self._high[piece, None] - self._low[None, piece]
        slope = np.divide(rise, apart, out=np.zeros_like(rise), where=apart != 0)
        most = float(np.min(slope[apart > 0], initial=MOST_DRIFT))
        least = float(np.max(slope[apart < 0], initial=-MOST_DRIFT))
        wide = float(np.median(self._high[piece] - self._low[piece]))
        long = float(self._back[piece][-1] - self._sent[piece][0])
        return least, most, wide / max(long, 1.0)

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
        middles = (self._sent[1:] + self._back[:-1]) / 2
        moments = np.concatenate([self._sent, self._back, middles])
        moments = moments[moments >= from_ns - self._from_ns]
        if not moments.size:
            return 0
        low, high = self._bounds(moments)
        return _half_of(float(np.max(high - low)))

    def _bounds(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least and the most that the offset can be at these moments: whatever the round trips
        before and after each allow, since it may have jumped between them.
        """
        before = np.searchsorted(np.maximum.accumulate(self._back), moments, "right") - 1
        after = np.searchsorted(self._sent, moments, "left")
        low_a, high_a = self._bounds_of(moments, before[:, None] - np.arange(_NEAREST)[None, :])
        low_b, high_b = self._bounds_of(moments, after[:, None] + np.arange(_NEAREST)[None, :])
        return np.minimum(low_a, low_b), np.maximum(high_a, high_b)

    def _bounds_of(self, moments: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the best of several round trips says of each moment."""
        near = np.clip(near, 0, self._sent.size - 1)
        slowest, fastest = self._slowest[near], self._fastest[near]
        since_sent = moments[:, None] - self._sent[near]
        since_back = moments[:, None] - self._back[near]
        high = self._high[near] + np.maximum(since_sent * fastest, since_sent * slowest)
        low = self._low[near] + np.minimum(since_back * fastest, since_back * slowest)
        best = np.argmin(high - low, axis=1)
        row = np.arange(moments.size)
        return low[row, best], high[row, best]


def _half_of(width_ns: float) -> int:
    """Rounded up, with the nanosecond that rounding the middle may cost."""
    return int(np.ceil(width_ns / 2)) + 1
