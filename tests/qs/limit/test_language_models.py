"""The search against a model of a language model's server, whose limits are known: over rates and
over users, with bounds on the time to a first token; a cliff, and a server that changes.
"""

from __future__ import annotations

import asyncio

import pytest

from qs.base.scenarios import CONCURRENCY, RATE
from qs.limit import LimitSettings, Trial, find_limit, parse_goals
from qs.limit.trial_plan import CURVE, SEARCH, TrialPlan
from tests.qs.limit.language_models import Model

BOUND_S, SHARE = 1.0, 0.05
SLO = "ttft_p95=1s"


def search(model: Model, over: str, slo: str = SLO, on_step=None, done=(), **more):
    hint = model.capacity if over == RATE else None
    known = {"hint_per_s": hint, "request_s": model.request_s, "budget_s": 600.0, "curve": False}
    settings = LimitSettings(over=over, **{**known, **more})
    return asyncio.run(find_limit(parse_goals([slo]), model.trial, settings, on_step, done))


@pytest.mark.slow
def test_the_most_users_are_found_again_and_again_within_a_tenth():
    edge = Model().true_users(BOUND_S, SHARE)
    found = [search(Model(), CONCURRENCY, seed=seed, budget_s=300.0) for seed in range(4)]
    users = [limit.rate_per_s for limit in found]
    assert all(limit.confirmed and limit.over == CONCURRENCY for limit in found)
    assert all(0.9 * edge <= each <= edge for each in users), (users, edge)
    assert max(users) <= 1.1 * min(users)
    assert all(each == int(each) for limit in found for each in [limit.rate_per_s])
    assert found[0].sentence().startswith(f"{SLO} holds up to {users[0]:.0f} users (95 %")


def test_many_users_are_found_from_far_below_in_two_minutes():
    """Of a server that answers 80 short requests a second, from the 16 users seen in closed loop:
    waits hardly vary, and no request is over the bound until all of them are.
    """
    kind = {"slots": 4, "first_s": 0.04, "token_s": 0.01, "mean_tokens": 2.0}
    edge = Model(**kind).true_users(BOUND_S, SHARE)
    found = [
        search(Model(**kind), CONCURRENCY, seed=seed, hint_per_s=16.0, budget_s=120.0)
        for seed in range(8)
    ]
    users = [limit.rate_per_s for limit in found]
    assert all(limit.confirmed for limit in found)
    assert all(0.9 * edge <= each <= edge for each in users), (users, edge)
    assert max(users) <= 1.1 * min(users)


def test_the_highest_rate_is_found_twice_within_a_tenth():
    edge = Model().true_rate(BOUND_S, SHARE)
    found = [search(Model(), RATE, seed=seed, budget_s=1200.0) for seed in (1, 2)]
    rates = [limit.rate_per_s for limit in found]
    assert all(limit.confirmed for limit in found)
    assert all(0.85 * edge <= each <= edge for each in rates), (rates, edge)
    assert max(rates) <= 1.1 * min(rates)


@pytest.mark.slow
def test_goodput_is_searched_for_like_a_percentile():
    edge = Model().true_users(BOUND_S, SHARE)
    limit = search(Model(), CONCURRENCY, "ttft=1s,goodput=95%", budget_s=300.0)
    assert limit.goals == ("ttft=1s", "goodput=95%")
    assert limit.confirmed and 0.9 * edge <= limit.rate_per_s <= edge


def test_no_trial_drives_the_server_into_a_long_queue():
    """However wrong the hint: what waits is worked off in seconds, and steps up are small."""
    for hint in (0.2, 1.0, 1.5):
        model = Model()
        limit = search(model, RATE, hint_per_s=hint * model.capacity)
        assert model.most_in_queue / model.capacity < 12.0
        held = 0.0
        for rate, _ in model.loads:
            assert held == 0.0 or rate <= 2.0 * max(held, hint * model.capacity)
            held = max(held, rate)
        assert limit.rate_per_s is not None


def test_a_trial_that_collapses_is_short_and_fails():
    model = Model()
    plan = TrialPlan(
        0,
        SEARCH,
        3 * model.capacity,
        60.0,
        1,
        parse_goals([SLO]),
        RATE,
        model.request_s,
        model.capacity,
    )
    trial = asyncio.run(model.trial(plan))
    assert trial.collapse and trial.measured_s < 20.0
    assert trial.took_s < 60.0
    known = Trial.from_dict(trial.to_dict())
    assert known == trial and known.measures["ttft"].histogram.count == trial.completed
    limit = search(model, RATE, hint_per_s=3 * model.capacity / 0.7, budget_s=300.0)
    first = limit.trials[0]
    assert first.collapse and first.measured_s < first.duration_s


def test_a_server_that_changes_is_named_unstable_with_figures():
    def slower(at_s: float) -> float:
        return 1.0 if at_s < 40.0 else 2.5

    limit = search(Model(slower=slower), CONCURRENCY, budget_s=400.0, hint_per_s=20.0)
    assert limit.unstable.startswith("at ") and "users ttft_p95=1s held in trial" in limit.unstable
    assert "the target or the machine changes over time" in limit.unstable


def test_a_steady_server_is_not_called_unstable():
    for seed in range(6):
        over = (RATE, CONCURRENCY)[seed % 2]
        assert search(Model(), over, seed=seed, budget_s=300.0, curve=True).unstable == ""


def test_a_search_over_users_ends_where_even_one_is_too_many():
    limit = search(Model(first_s=1.5), CONCURRENCY, budget_s=200.0)
    assert limit.rate_per_s is None and limit.refuted
    assert "even the lowest number of users fails: 1 user" in (limit.reason or "")


def test_a_search_over_users_goes_on_from_the_trials_it_had():
    whole = search(Model(), CONCURRENCY, seed=3, budget_s=300.0, curve=True)
    kept = [Trial.from_dict(trial.to_dict()) for trial in whole.trials[:5]]
    again = []
    limit = search(
        Model(),
        CONCURRENCY,
        seed=3,
        budget_s=300.0,
        curve=True,
        done=kept,
        on_step=lambda step: again.append(step.again),
    )
    assert again[:6] == [True] * 5 + [False]
    assert limit.to_dict(trials=False) == whole.to_dict(trials=False)


def test_the_curve_has_tokens_and_times_of_what_is_bounded():
    limit = search(Model(), CONCURRENCY, budget_s=300.0, curve=True)
    assert any(trial.phase == CURVE for trial in limit.trials)
    held = next(point for point in limit.curve if point["rate_per_s"] == limit.rate_per_s)
    assert held["user_per_s"] == pytest.approx(100.0)
    assert held["output_per_s"] > 0
    assert 0.05e9 <= held["ttft_p95_ns"] <= 1e9


def test_requests_in_flight_for_long_are_no_backlog_where_a_part_of_their_time_is_bounded():
    """Answers of 4 s behind a bound of 1 s on the first token: 36 requests are in flight at 9/s."""
    model = Model(slots=60, mean_tokens=400.0)
    limit = search(model, RATE, budget_s=1200.0)
    assert limit.rate_per_s is not None
    assert limit.rate_per_s > 0.6 * model.capacity


def test_a_search_that_was_too_short_does_not_ask_for_what_nobody_bounded():
    """1 % of errors is allowed where nobody says it, and need not be shown."""
    limit = search(Model(), CONCURRENCY, budget_s=8.0)
    assert not limit.confirmed and "to show ttft_p95=1s takes" in (limit.reason or "")
