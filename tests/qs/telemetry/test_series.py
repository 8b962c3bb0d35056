"""Readings of one channel over the measured phase: worked by hand, and what counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.telemetry.channel import Channel, Unit
from qs.telemetry.series import Implausible, Phase, line_of

START = 5_000_000_000
COUNTER = Channel("package-0", Unit.WATT, counter=True, wraps_at=1000.0)
FREE = Channel("package-0", Unit.WATT, counter=True)
GAUGE = Channel("GPU 0", Unit.WATT)
USE = Channel("CPUs", Unit.PERCENT, counter=True)
HEAT = Channel("Tctl", Unit.CELSIUS)
NAN = float("nan")


def line(channel, at_s, values, length_s):
    at_ns = START + (np.array(at_s, float) * 1e9).astype(np.int64)
    return line_of(channel, at_ns, np.array(values, float), Phase(START, length_s))


def total(found, length_s):
    return float(found.integral(np.array([0.0, length_s]))[1])


@pytest.mark.parametrize(
    ("channel", "at_s", "values", "length_s", "energy_j", "peak_w"),
    [
        # 10 W, then 30 W: the peak is that of one second.
        (FREE, [0, 1, 2], [100, 110, 140], 2.0, 40.0, 30.0),
        # The phase begins and ends between two readings.
        (FREE, [-1, 0.5, 2.5], [0, 15, 55], 2.0, 5 + 30, 20.0 - 0 * 1),
        # The counter begins at 0 again.
        (COUNTER, [0, 1, 2], [980, 995, 10], 2.0, 30.0, 15.0),
        # A reading that failed is left out.
        (FREE, [0, 1, 2], [0, NAN, 40], 2.0, 40.0, 20.0),
        # What is left over belongs to the last window.
        (FREE, [0, 1, 1.5], [0, 10, 40], 1.5, 40.0, 40 / 1.5),
        # A gauge: trapezoids.
        (GAUGE, [0, 1, 2], [10, 20, 40], 2.0, 15 + 30, 40.0),
        # Before its first reading and after its last it is taken to stay.
        (GAUGE, [0.5, 1.5], [10, 20], 2.0, 5 + 15 + 10, 20.0),
        (GAUGE, [0.0], [7], 1.0, 7.0, 7.0),
        # A reading before the phase is no peak of it.
        (GAUGE, [-1, 0, 1, 2], [900, 10, 10, 10], 2.0, 20.0, 10.0),
    ],
)
def test_energy_and_peak(channel, at_s, values, length_s, energy_j, peak_w):
    found = line(channel, at_s, values, length_s)
    ends_s = Phase(START, length_s).windows(1.0)
    assert total(found, length_s) == pytest.approx(energy_j)
    assert float(np.max(found.peaks(ends_s))) == pytest.approx(peak_w)


@pytest.mark.parametrize(
    ("channel", "at_s", "values", "length_s", "why"),
    [
        (FREE, [0, 1, 2], [100, 90, 95], 2.0, "the counter went backwards"),
        (COUNTER, [0, 1, 2], [5e6, 10, 20], 2.0, "the counter went backwards"),
        (FREE, [0, 1, 2], [0, 1e9, 2e9], 2.0, "jumped further than any machine can"),
        (FREE, [0, 1, 2], [7, 7, 7], 2.0, "the counter stood still"),
        (FREE, [0], [7], 2.0, "read only once"),
        (FREE, [0, 1], [0, 10], 5.0, "cover 1.0 of 5.0 s"),
        (FREE, [3, 5], [0, 10], 5.0, "cover 2.0 of 5.0 s"),
        (FREE, [0, 0.05], [0, 1], 0.05, "measured for 0.05 s, and a reading of power takes 0.1 s"),
        (GAUGE, [0, 0.4], [10, 10], 0.4, "measured for 0.4 s, and a reading of power takes 1 s"),
        (GAUGE, [0, 1], [10, 10], 10.0, "cover 1.0 of 10.0 s"),
        (GAUGE, [0, 1, 2], [10, -1, 10], 2.0, "it read -1 W"),
        (GAUGE, [0, 1, 2], [10, float("inf"), 10], 2.0, "it read inf W"),
        (GAUGE, [0, 1, 2], [10, 1e7, 10], 2.0, "it read 1e+07 W"),
        (GAUGE, [0, 1, 2], [0, 0, 0], 2.0, "it always read 0 W"),
        (GAUGE, [0, 1], [NAN, NAN], 2.0, "it gave no reading"),
        (GAUGE, [], [], 2.0, "it gave no reading"),
        (HEAT, [0, 1], [-300, 20], 2.0, "it read -300 °C"),
    ],
)
def test_readings_that_count_for_nothing_say_why(channel, at_s, values, length_s, why):
    with pytest.raises(Implausible, match=why.replace("+", r"\+")):
        line(channel, at_s, values, length_s)


def test_utilisation_of_ticks_is_at_most_all_of_it():
    found = line(USE, [0, 1, 2], [0, 100.9, 190], 2.0)
    assert list(found.means(np.array([0.0, 1.0, 2.0]))) == pytest.approx([100.0, 89.1])


def test_a_short_case_has_utilisation_though_no_power():
    assert line(USE, [0, 0.04], [0, 4], 0.04).values[-1] == 4


@given(
    st.lists(st.floats(0.0, 500.0), min_size=3, max_size=40),
    st.integers(0, 10_000),
)
def test_a_counter_gives_what_it_counted_wherever_it_wraps(steps, begin):
    wraps_at = 1000.0
    values = (begin + np.concatenate([[0.0], np.cumsum(steps)])) % wraps_at
    if sum(steps) < 1e-3:
        return
    channel = Channel("p", Unit.WATT, counter=True, wraps_at=wraps_at)
    found = line(channel, range(len(values)), values, float(len(steps)))
    assert total(found, float(len(steps))) == pytest.approx(sum(steps), abs=1e-6)
    ends_s = Phase(START, float(len(steps))).windows(1.0)
    assert np.max(found.peaks(ends_s)) >= np.mean(found.means(ends_s)) - 1e-9
