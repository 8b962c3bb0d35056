"""What a search says: as data and in a sentence."""

from __future__ import annotations

import asyncio
import functools
import json

import pytest

from qs.base.words import number
from qs.limit import Limit, LimitSettings, find_limit, parse_goals
from qs.limit.trial_plan import CONFIRM
from tests.qs.limit.queues import Queue


@functools.cache
def found(bounds: str = "p99=4ms,errors=1%") -> Limit:
    settings = LimitSettings(hint_per_s=2_000.0, budget_s=60.0)
    return asyncio.run(find_limit(parse_goals([bounds]), Queue(2, 0.001).trial, settings))


def test_a_limit_survives_json():
    limit = found()
    plain = json.loads(json.dumps(limit.to_dict()))
    again = Limit.from_dict(plain)
    assert again == limit
    assert again.to_dict() == plain
    assert [trial.response.counts.sum() for trial in again.trials] == [
        trial.completed for trial in limit.trials
    ]


def test_without_its_trials_it_is_small():
    small = found().to_dict(trials=False)
    assert "trials" not in small
    assert len(json.dumps(small)) < len(json.dumps(found().to_dict())) / 4
    assert Limit.from_dict(small).rate_per_s == found().rate_per_s


def test_every_rate_is_there_with_what_was_measured_and_what_is_allowed():
    limit = found()
    assert len(limit.points) == len({trial.rate_per_s for trial in limit.trials})
    for point in limit.points:
        trials = [trial for trial in limit.trials if trial.rate_per_s == point.rate_per_s]
        assert point.trials == len(trials)
        assert point.requests == sum(trial.requests for trial in trials)
        p99, errors = point.goals["p99=4ms"], point.goals["errors=1%"]
        assert p99["allowed"] == 0.01
        low, high = p99["interval"]
        assert low <= p99["measured"] <= high
        assert errors["measured"] == 0
        assert p99["effective_requests"] <= point.requests
        if point.verdict == "holds":
            assert point.rate_per_s <= limit.rate_per_s * 1.1
    above = [point for point in limit.points if point.verdict == "fails"]
    assert above[0].rate_per_s == limit.fails_per_s > limit.rate_per_s


def test_merged_percentiles_are_those_of_all_trials_of_a_rate():
    limit = found()
    point = next(point for point in limit.points if point.trials > 1)
    whole = sum(
        trial.response.counts for trial in limit.trials if trial.rate_per_s == point.rate_per_s
    )
    trials = [trial.response for trial in limit.trials if trial.rate_per_s == point.rate_per_s]
    merged = type(trials[0])(whole)
    merged.count = int(whole.sum())
    merged.max_ns, merged.min_ns = (
        max(each.max_ns for each in trials),
        min(each.min_ns for each in trials),
    )
    assert point.percentiles_ns["p99_ns"] == merged.percentile_ns(99)


def test_the_confirmation_is_of_fresh_trials_alone():
    limit = found()
    confirming = [
        trial
        for trial in limit.trials
        if trial.phase == CONFIRM and trial.rate_per_s == limit.rate_per_s
    ]
    assert limit.confirmation.requests == sum(trial.requests for trial in confirming)
    assert limit.confirmation.seconds == pytest.approx(
        sum(trial.duration_s for trial in confirming)
    )


def test_the_sentence_says_the_rate_its_confidence_and_its_bounds():
    sentence = found().sentence()
    assert sentence.startswith(
        f"p99=4ms, errors=1% holds up to {number(found().rate_per_s, 4)} requests/s ("
    )
    assert "confidence, confirmed)" in sentence
    assert f"{number(found().fails_per_s, 4)} requests/s fail" in sentence


def test_a_search_that_found_nothing_survives_json_too():
    settings = LimitSettings(hint_per_s=2_000.0, budget_s=20.0)
    limit = asyncio.run(find_limit(parse_goals(["p99=0.1ms"]), Queue(2, 0.001).trial, settings))
    assert limit.rate_per_s is None
    assert Limit.from_dict(limit.to_dict()) == limit
