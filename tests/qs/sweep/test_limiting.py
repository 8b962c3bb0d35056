"""What a search for the most load is made of in a sweep: its settings, its trials, what is between
them, and what it comes to in the result.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from qs.base.scenarios import CONCURRENCY, RATE
from qs.limit import LimitSettings, find_limit, parse_goals
from qs.limit.trial_plan import SEARCH, TrialPlan
from qs.remote.metrics import Page, Series
from qs.result.row import Row
from qs.result.sweep import SweepLine
from qs.result.verdict import Verdict
from qs.sweep.answering import of_the_search
from qs.sweep.draining import busy, drained
from qs.sweep.grid import Axes, Combination
from qs.sweep.limiting import Limiting
from qs.sweep.plan import SweepPlan
from qs.sweep.summary import limit_entry
from tests.qs.limit.language_models import Model

GOALS = parse_goals(["ttft_p95=1s,errors=2%"])


def plan_of(over: str = RATE, endpoint: bool = True) -> SweepPlan:
    return SweepPlan(Axes((1,)), 1, 3.0, goals=GOALS, over=over, endpoint=endpoint)


def limiting(plan: SweepPlan, pool: str = "async") -> Limiting:
    settings = SimpleNamespace(seed=SimpleNamespace(value=0), pool=SimpleNamespace(value=pool))
    lines = [
        SweepLine(
            name=f"bs1-c{clients}",
            setting={"batch_size": 1, "clients": clients},
            verdict=Verdict.VALID,
            items_per_s=rate,
            within=within,
        )
        for clients, rate, within in ((1, 4.0, True), (4, 15.0, True), (8, 17.0, False))
    ]
    rows = [
        Row(
            batch_size=1,
            items_per_s=4.0,
            mean_ms=mean_ms,
            p99_ms=None,
            mode="QS",
            clients=clients,
            verdict="VALID",
            reasons=[],
            warnings=[],
            histogram=None,
        )
        for clients, mean_ms in ((1, 250.0), (8, 470.0))
    ]
    testbed = SimpleNamespace(settings=settings, served=None)
    return Limiting(plan, testbed, SimpleNamespace(), 2, lines[1], lines, rows)


def test_the_hint_is_from_closed_loop():
    found = limiting(plan_of()).settings()
    # As many as it serves, whatever they wait; and a request's time where nobody waits.
    assert (found.hint_per_s, found.request_s, found.over) == (17.0, 0.25, RATE)
    users = limiting(plan_of(CONCURRENCY)).settings()
    assert (users.hint_per_s, users.highest_per_s) == (4.0, None)
    own = limiting(plan_of(endpoint=False), "thread").settings()
    assert (own.hint_per_s, own.request_s) == (15.0, None)


@pytest.mark.parametrize(("pool", "most"), [("inline", 1), ("process", 8), ("thread", 256)])
def test_users_with_a_copy_each_are_not_any_number(pool, most):
    assert limiting(plan_of(CONCURRENCY, False), pool).settings().highest_per_s == most


def test_a_trial_of_an_endpoint_ends_where_it_collapses():
    search = limiting(plan_of())
    plan = TrialPlan(0, SEARCH, 12.0, 20.0, 1, GOALS, RATE, 0.25, 17.0)
    changes = search._changes(plan)
    assert changes["clients"] == plan.most_in_flight
    assert changes["max_backlog"] == 0
    assert changes["stop"].max_errors == plan.most_failed
    assert 20 <= plan.most_in_flight <= 12 * 2 * 1.25 + 5 * 17 + 1
    # 2 % of 240 requests are 5; 15 and more come by chance once in a thousand.
    assert 10 <= plan.most_failed <= 20
    users = search._changes(TrialPlan(0, SEARCH, 12.0, 20.0, 1, GOALS, CONCURRENCY, 0.25))
    assert (users["clients"], users["scenarios"]) == (12, ())
    plain = limiting(plan_of(endpoint=False), "thread")._changes(plan)
    assert "max_backlog" not in plain and plain["clients"] == 4


def entry_of(over: str, **more):
    model = Model()
    settings = LimitSettings(
        over=over, request_s=model.request_s, budget_s=300.0, hint_per_s=more.pop("hint", None)
    )
    limit = asyncio.run(find_limit(parse_goals(["ttft_p95=1s"]), model.trial, settings))
    return limit_entry(limit, "bs1")


def test_over_concurrency_the_result_speaks_of_users():
    entry = entry_of(CONCURRENCY)
    assert entry.users == int(entry.users) and entry.holds_users == entry.users
    assert 10 < entry.rate_per_s < 20  # what so many users make
    at = next(point for point in entry.curve if point.users == entry.users)
    assert at.verdict == "holds" and at.rate_per_s == entry.rate_per_s
    assert "ttft_p95" in at.times_ns
    said, met = of_the_search(entry, Combination(1), plan_of(CONCURRENCY))
    assert met is True
    assert said.startswith(f"Up to {entry.users} users ({entry.rate_per_s:.2f} requests/s, ")
    assert said.endswith(" within ttft p95 <= 1 s and errors <= 2 % (95 %)")


def test_a_rate_of_an_endpoint_is_said_without_a_setting():
    said, met = of_the_search(entry_of(RATE, hint=18.0), Combination(1), plan_of())
    assert met is True and said.startswith("Up to 1") and "tokens/s" in said


def test_what_runs_and_waits_is_read_by_any_servers_names():
    page = Page(
        {
            Series("llamacpp:requests_processing"): (2.0,),
            Series("llamacpp:requests_deferred"): (5.0,),
            Series("llamacpp:prompt_tokens_total", kind="counter"): (99.0,),
        }
    )
    assert busy(page) == 7.0
    assert busy(Page({Series("up"): (1.0,)})) is None


class Probe:
    def __init__(self, *left: float):
        self.left, self.closed = list(left), False

    def read(self) -> Page:
        value = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return Page({Series("vllm:num_requests_running"): (value,)})

    def close(self) -> None:
        self.closed = True


def test_a_server_runs_empty_between_two_trials(monkeypatch):
    monkeypatch.setattr("qs.sweep.draining.EVERY_S", 0.001)
    monkeypatch.setattr("qs.sweep.draining.MOST_S", 0.05)
    said: list[str] = []

    def wait(*left: float) -> Probe:
        probe = Probe(*left)
        served = SimpleNamespace(watch=SimpleNamespace(probe=lambda names: probe))
        asyncio.run(drained(served, said.append))
        assert probe.closed
        return probe

    assert wait(3.0, 1.0, 0.0).left == [0.0]
    assert said == []
    wait(2.0)
    assert said[0].startswith("the server still has 2 requests after ")
    asyncio.run(drained(None, said.append))
