"""The mean response time in its parts: the client's stamps, and what the server counted."""

from __future__ import annotations

import pytest

from qs.remote.counting import Counted
from qs.remote.sampler import Readings
from qs.remote.server_side import (
    MOST_POINTS,
    ClientTimes,
    counted_between,
    parts_of,
    series_entry,
    settled,
    statistics_entry,
)
from qs.remote.statistics import of_json
from tests.qs.remote.test_statistics import answer

TIMES = ClientTimes(response=10.0, late=1.0, wait=2.0, answered=7.0)


def readings(*requests: int) -> Readings:
    return Readings(
        at_ns=[int(1e9) * at for at in range(len(requests))],
        values=[of_json(answer(each), "m") for each in requests],
    )


def test_the_parts_together_are_the_mean_response_time():
    parts, why = parts_of(counted_between(readings(0, 40, 100)), TIMES)
    assert why == ""
    assert {part.name: part.mean_ms for part in parts} == {
        "late": 1,
        "waiting for a connection": 2,
        "network and client": 3,
        "queue": 1,
        "compute input": 0.25,
        "compute infer": 2,
        "compute output": 0.5,
        "other in the server": 0.25,
    }
    assert sum(part.mean_ms for part in parts) == pytest.approx(TIMES.response)
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_closed_loop_has_no_lateness():
    parts, _ = parts_of(counted_between(readings(0, 40)), ClientTimes(7, 0, 0, 7))
    assert [part.name for part in parts][:3] == [
        "waiting for a connection",
        "network and client",
        "queue",
    ]


@pytest.mark.parametrize(
    ("requests", "answered", "why"),
    [
        ((5, 5), 7.0, "no answered request"),
        ((0, 10), 3.0, "longer than the 3 ms"),
    ],
)
def test_what_cannot_be_split_says_why(requests, answered, why):
    parts, said = parts_of(counted_between(readings(*requests)), ClientTimes(9, 0, 0, answered))
    assert parts == []
    assert why in said


def test_cached_answers_are_a_part_of_their_own():
    counted = Counted(
        {
            "success count": 10,
            "success ns": 10e6,
            "queue count": 2,
            "queue ns": 4e6,
            "cache_hit count": 8,
            "cache_hit ns": 4e6,
        }
    )
    parts, _ = parts_of([counted], ClientTimes(2, 0, 0, 2))
    known = {part.name: part.mean_ms for part in parts}
    # Of all requests, those included that had no such part.
    assert (known["queue"], known["cache"], known["network and client"]) == (0.4, 0.4, 1)
    assert statistics_entry([counted]).queue_ms == 2


def test_a_series_has_the_means_between_readings():
    found = series_entry([0, int(1e9), int(3e9)], counted_between(readings(0, 100, 300)), int(1e9))
    assert found.at_s == [-1, 0]
    assert found.end_s == 2
    assert found.requests_per_s == [100, 100]
    assert (found.queue_ms, found.compute_ms, found.batch_size) == ([1, 1], [2.75, 2.75], [4, 4])


def test_a_long_series_is_thinned_and_a_short_one_is_none():
    many = readings(*range(0, 4_000, 4))
    found = series_entry(many.at_ns, counted_between(many), 0)
    assert len(found.at_s) <= MOST_POINTS
    assert found.end_s == 999
    few = readings(0, 8)
    assert series_entry(few.at_ns, counted_between(few), 0) is None


@pytest.mark.parametrize(
    ("at_s", "kept"),
    [([0, 1], [0, 1]), ([0, 1, 2], [0, 1, 2]), ([0, 1, 1.4], [0, 1.4]), ([0, 1, 1.6], [0, 1, 1.6])],
)
def test_an_interval_too_short_to_tell_is_joined_to_the_one_before(at_s, kept):
    given = Readings(at_ns=[int(each * 1e9) for each in at_s], values=list(at_s))
    found = settled(given)
    assert found.values == kept
    assert [at / 1e9 for at in found.at_ns] == kept


def test_a_restart_within_is_counted_on():
    between = counted_between(readings(100, 140, 8, 20))
    entry = statistics_entry(between)
    assert (entry.requests, entry.restarts) == (60, 1)
    parts, why = parts_of(between, TIMES)
    assert parts and not why
