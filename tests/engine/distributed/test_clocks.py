"""Clocks of nodes: the truth lies within what is told of it, whatever the way there and back takes,
however the clocks drift, and though one of them jumps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.engine.distributed.talking.clocks import MOST_KEPT, Clock, RoundTrip
from tests.fakes import MS, S

HOUR = 3_600 * S
US = 1_000


@dataclass(frozen=True)
class Truth:
    """A node's clock: its offset (ns) at the driver's `from_ns`, its drift, and a jump."""

    from_ns: int
    offset_ns: int
    drift: float = 0.0
    jump_s: float | None = None
    jump_ns: int = 0

    def at(self, driver_ns: float) -> int:
        since = driver_ns - self.from_ns
        jumped = self.jump_s is not None and since >= self.jump_s * 1e9
        # The sum of the small ones first: a float holds no hours in ns to the nanosecond.
        return round(driver_ns) + self.offset_ns + round(self.drift * since) + jumped * self.jump_ns


def asked(truth: Truth, seed: int, delay_ns: float, lasts_s: float, gap_s: float = 0.2) -> Clock:
    """A clock that was asked all along. Delays are `delay_ns` at least half the time, and have a
    heavy tail: now and then one takes a hundred times as long. How they fall on the two ways is
    different each time, and some are all on one.
    """
    draw = random.Random(seed)
    clock, now = Clock(), float(truth.from_ns)
    while now < truth.from_ns + lasts_s * 1e9:
        takes = delay_ns * max(draw.paretovariate(1.3) - 0.5, 1.0)
        there = takes * draw.choice([0.0, 1.0, draw.random()])
        sent, back = int(now), int(now + takes) + 1
        clock.add(RoundTrip(sent, truth.at(now + there), back))
        now = back + draw.expovariate(1 / gap_s) * 1e9
    return clock


def assert_true(clock: Clock, truth: Truth, seed: int) -> None:
    """At any time between the first round trip and the last: what is told is right to within what
    is told of it.
    """
    draw = random.Random(seed)
    first, last = clock._edges
    if first is last:
        return  # which says nothing of a jump while it was under way
    reading = clock.reading(first.back_ns)
    for _ in range(40):
        at = draw.randrange(first.back_ns, max(last.sent_ns, first.back_ns) + 1)
        wrong = abs(clock.to_node(at) - truth.at(at))
        assert wrong <= clock.uncertainty_ns(at), (at - truth.from_ns, wrong)
        assert wrong <= reading.uncertainty_ns
        if truth.jump_s is None:  # else it may have read that twice, or never
            most = reading.uncertainty_ns * 1.001 + 2  # which is itself a time on a drifting clock
            assert abs(clock.to_driver(truth.at(at)) - at) <= most


starts = st.integers(0, 10**15)
offsets = st.integers(-10 * HOUR, 10 * HOUR)
drifts = st.floats(-200e-6, 200e-6)
seeds = st.integers(0, 2**32)
delays = st.sampled_from([50 * US, 5 * MS, 50 * MS])
lengths = st.sampled_from([1.0, 10.0, 100.0])


@given(starts, offsets, drifts, seeds, delays, lengths)
def test_the_truth_lies_within_the_uncertainty(start, offset, drift, seed, delay, length):
    truth = Truth(start, offset, drift)
    assert_true(asked(truth, seed, delay, length), truth, seed)


@given(
    starts,
    drifts,
    seeds,
    delays,
    lengths,
    st.floats(0, 1),
    st.sampled_from([-1, 1]),
    st.floats(3, 11),
)
def test_a_clock_that_jumps_is_known_before_and_after(
    start, drift, seed, delay, length, where, sign, power
):
    """By a microsecond or by a minute: set, or of a machine that was suspended."""
    truth = Truth(start, 0, drift, where * length, sign * round(10**power))
    assert_true(asked(truth, seed, delay, length), truth, seed)


@settings(max_examples=10)
@given(starts, offsets, seeds)
def test_a_steady_clock_that_answers_fast_is_known_to_some_microseconds(start, offset, seed):
    """With half of a round trip, which nobody can do better than without knowing the ways, and
    a little for the time between them.
    """
    truth = Truth(start, offset, 150e-6)
    clock = asked(truth, seed, 50 * US, 30.0, 0.05)
    reading = clock.reading(start)
    assert reading.uncertainty_ns < 500 * US
    assert reading.drift_ppm == pytest.approx(150, abs=5)
    assert 50 * US <= reading.least_round_trip_ns <= 51 * US
    assert reading.round_trips > 300


def test_before_the_run_a_burst_of_round_trips_is_enough_for_a_common_start():
    """The drift is not known then: it may be the most that clocks do."""
    truth = Truth(5 * S, 3 * S, 200e-6)
    clock = asked(truth, 1, 50 * US, 0.02, 0.0001)
    start = 5 * S + 270 * MS
    assert abs(clock.to_node(start) - truth.at(start)) <= clock.uncertainty_ns(start) < 400 * US


def test_one_round_trip_tells_half_of_itself():
    clock = Clock()
    clock.add(RoundTrip(1_000, 5_500, 2_000))
    assert clock.uncertainty_ns(1_500) == pytest.approx(500, abs=3)
    assert clock.to_node(1_500) == pytest.approx(5_500, abs=2)
    assert clock.to_driver(5_500) == pytest.approx(1_500, abs=2)


def test_a_clock_that_was_never_asked_says_so():
    with pytest.raises(ValueError, match="no round trip"):
        Clock().reading(0)


def test_a_jump_is_in_the_uncertainty_of_the_run():
    steady = asked(Truth(0, 0), 1, 50 * US, 20.0).reading(0)
    jumped = asked(Truth(0, 0, 0.0, 10.0, -3 * S), 1, 50 * US, 20.0).reading(0)
    assert steady.uncertainty_ns < MS
    assert 1.4 * S < jumped.uncertainty_ns < 1.6 * S
    late = asked(Truth(0, 0, 0.0, 10.0, -3 * S), 1, 50 * US, 20.0).reading(12 * S)
    assert late.uncertainty_ns < 2 * MS  # what was before does not matter to what comes after


def test_a_node_that_did_not_answer_for_a_while_is_known_before_and_after():
    """One that was stopped for 20 s: its one answer of that time tells nearly nothing, and is not
    needed by its neighbours' side.
    """
    truth = Truth(0, 7 * S, 20e-6)
    clock = asked(truth, 3, 50 * US, 10.0)
    clock.add(RoundTrip(11 * S, truth.at(31 * S), 31 * S))
    for trip in range(50):
        sent = 31 * S + trip * 200 * MS
        clock.add(RoundTrip(sent, truth.at(sent + 20 * US), sent + 50 * US))
    assert clock.uncertainty_ns(5 * S) < MS and clock.uncertainty_ns(36 * S) < MS
    assert clock.uncertainty_ns(20 * S) < 3 * MS  # no jump that its neighbours saw
    for at in range(0, 40 * S, S):
        assert abs(clock.to_node(at) - truth.at(at)) <= clock.uncertainty_ns(at)


def test_a_day_of_round_trips_is_kept_in_bounded_memory():
    truth = Truth(0, HOUR, 30e-6)
    clock = Clock()
    for number in range(86_400):
        sent = number * S
        clock.add(RoundTrip(sent, truth.at(sent + 30 * US), sent + 60 * US))
    assert len(clock._kept) <= MOST_KEPT
    reading = clock.reading(0)
    assert reading.round_trips == 86_400
    assert reading.uncertainty_ns < 10 * MS
    assert reading.drift_ppm == pytest.approx(30, abs=2)
    assert abs(clock.to_node(43_200 * S) - truth.at(43_200 * S)) < MS


@pytest.mark.parametrize(
    "trip",
    [
        RoundTrip(2_000, 5, 1_000),  # back before it was sent
        RoundTrip(0, 1 << 80, 10),
        RoundTrip(0, -(1 << 70), 10),
        RoundTrip(0, 5, 1 << 70),
    ],
)
def test_what_no_clock_tells_is_left_out(trip):
    clock = Clock()
    clock.add(RoundTrip(0, 100, 10))
    clock.add(trip)
    assert clock.round_trips == 1 and clock.to_node(5) == pytest.approx(100, abs=2)


@settings(max_examples=50)
@given(st.lists(st.tuples(*[st.integers(-(1 << 61), 1 << 61)] * 3), min_size=1, max_size=30))
def test_a_node_that_lies_gets_an_answer_and_no_warning(trips):
    """Numbers without any sense, which numpy is not to warn of, nor any loop to spin on."""
    clock = Clock()
    clock.add(RoundTrip(0, 0, 10))
    for trip in trips:
        clock.add(RoundTrip(*trip))
    reading = clock.reading(0)
    assert reading.uncertainty_ns >= 0
    assert isinstance(clock.to_driver(clock.to_node(5)), int)


@given(st.randoms(use_true_random=False), seeds)
def test_the_order_in_which_they_come_in_does_not_matter(draw, seed):
    truth = Truth(0, HOUR, -80e-6)
    trips = list(asked(truth, seed, 5 * MS, 20.0)._kept.values())
    shuffled = trips[:]
    draw.shuffle(shuffled)
    one, other = Clock(), Clock()
    for trip in trips:
        one.add(trip)
    for trip in shuffled:
        other.add(trip)
    assert one.reading(0) == other.reading(0)
