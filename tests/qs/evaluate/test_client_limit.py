"""The client's own limit: which loads it is measured with, and when it is told of."""

from __future__ import annotations

import pytest

from qs.engine import AllAtOnce, ClosedLoop, Poisson, Pool, RunPlan, Stop
from qs.evaluate import client_limit
from qs.evaluate.client_limit import (
    LEAST_PER_S,
    LONGEST_S,
    SHORTEST_S,
    budget_s,
    closed_load,
    null_plan,
    paced_load,
    shortened,
    with_client,
)
from qs.result.server_entry import ClientEntry
from tests.qs.result.made import small


def plan(load, **pool) -> RunPlan:
    stop = Stop(duration_s=2.0) if isinstance(load, Poisson) else Stop(max_duration_s=100.0)
    return RunPlan(load=load, stop=stop, pool=Pool("async", **pool), parts=("wait",))


@pytest.mark.parametrize(
    ("load", "pool", "connections", "clients"),
    [
        (ClosedLoop(3, think_time_s=1.0), {}, None, 3),
        (ClosedLoop(300), {}, 16, 300),
        (Poisson(50.0), {}, None, 64),
        (Poisson(50.0), {}, 16, 16),
        (Poisson(50.0), {"max_in_flight": 4}, None, 4),
        (Poisson(50.0), {"max_in_flight": 4, "workers": 6}, None, 6),
    ],
)
def test_the_cases_own_clients_or_as_many_as_keep_it_busy(load, pool, connections, clients):
    assert closed_load(plan(load, **pool), connections) == ClosedLoop(clients)


@pytest.mark.parametrize(
    ("load", "paced"),
    [
        (ClosedLoop(3), None),
        (AllAtOnce(10), None),
        (Poisson(1_000.0, 7), Poisson(1_000.0, 0)),
        (Poisson(5.0), Poisson(LEAST_PER_S, 0)),
    ],
)
def test_an_open_loop_of_one_rate_has_its_round_trips_at_that_rate(load, paced):
    assert paced_load(plan(load)) == paced


@pytest.mark.parametrize(
    ("stop", "for_s"),
    [
        (Stop(), LONGEST_S),
        (Stop(duration_s=0.5), SHORTEST_S),
        (Stop(duration_s=3600.0), LONGEST_S),
        (Stop(duration_s=8.0, max_duration_s=6.0), 0.3),
    ],
)
def test_it_takes_a_small_share_of_the_case(stop, for_s):
    assert budget_s(RunPlan(stop=stop)) == pytest.approx(for_s)


def test_the_layout_stays_and_the_rules_go():
    made = null_plan(plan(Poisson(9.0), workers=2), ClosedLoop(8))
    assert made.faults() == []
    assert (made.pool, made.load) == (Pool("async", workers=2), ClosedLoop(8))
    assert (made.parts, made.scenario, made.calibrate) == ((), None, False)


def row(per_s: float, **more):
    plain = {"QPS": per_s, "Queries Per Second": per_s, "P50 Latency": 2.0} | more
    return small([plain]).performance[0]


CLIENT = ClientEntry(limit_per_s=10_000, cpu_us=100, p50_ms=0.5, processes=1)


@pytest.mark.parametrize(
    ("found", "used", "doubted"),
    [
        (row(4_000), 0.4, False),
        (row(7_900), 0.79, False),
        (row(8_000), 0.8, True),
        (row(4_000, **{"Offered Queries Per Second": 9_000}), 0.9, True),
        (row(1_000, **{"Samples Per Query": 8}), 0.8, True),
    ],
)
def test_a_rate_near_the_clients_limit_is_a_doubt(found, used, doubted):
    told = with_client(found, CLIENT)
    assert told.client.share_of_limit == pytest.approx(used)
    assert told.client.share_of_response == 0.25
    assert [each.code for each in told.doubts] == ["client_bound"] * doubted


@pytest.mark.parametrize(
    ("cores", "processes", "cure"),
    [
        (8, 1, "--pool async --workers 2"),
        (8, 3, "--pool async --workers 6"),
        (4, 3, "--pool async --workers 4"),
        (4, 4, "more cores"),
        (1, 1, "more cores"),
    ],
)
def test_the_cure_is_more_processes_where_there_are_cores(monkeypatch, cores, processes, cure):
    monkeypatch.setattr(client_limit, "usable_cores", lambda: float(cores))
    told = with_client(row(9_000), CLIENT.changed(processes=processes))
    assert cure in told.doubts[0].cure


def test_what_was_not_measured_is_no_doubt():
    assert with_client(row(9_000), None) == row(9_000)
    told = with_client(row(9_000), ClientEntry(not_measured="no room"))
    assert told.client.not_measured == "no room"
    assert told.client.share_of_limit is None and told.doubts == []


def streamed(per_s: float, us_per_stream: float | None, **more):
    tokens = {
        "streamed": True,
        "events": 1_000,
        "client_us_per_stream": us_per_stream,
        "client_us_per_event": None if us_per_stream is None else us_per_stream / 10,
    }
    return row(per_s, Completed=100, Tokens=tokens | more)


@pytest.mark.parametrize(
    ("found", "busy", "doubted"),
    [
        (streamed(4_000, 100.0), 0.4, False),
        (streamed(7_900, 100.0), 0.79, False),
        (streamed(800, 1_000.0), 0.8, True),
        (streamed(800, 1_000.0, streamed=False), None, False),
        (streamed(800, None), None, False),
    ],
)
def test_events_that_keep_the_client_busy_are_a_doubt(found, busy, doubted):
    told = with_client(found, CLIENT)
    assert told.client.share_of_cores == (None if busy is None else pytest.approx(busy))
    assert [each.code for each in told.doubts] == ["client_bound"] * doubted
    if doubted:
        assert "8,000 events/s, at 100 us of CPU each" in told.doubts[0].text
        assert "80 % of 1 core" in told.doubts[0].text


def test_a_long_answer_is_shortened_and_keeps_its_end():
    events = [b"%d" % number for number in range(200)]
    few = shortened(events)
    assert len(few) == client_limit.MOST_EVENTS
    assert few[:2] == [b"0", b"1"] and few[-3:] == [b"197", b"198", b"199"]
    assert shortened(events[:9]) == events[:9]
