"""What the options of load mean together: which scenario, and which combinations mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.base.errors import Faults
from qs.base.scenarios import CONSTANT_RATE, GAMMA, POISSON, REPLAY, SESSIONS
from qs.settings.traffic import Traffic


@pytest.mark.parametrize(
    ("traffic", "name"),
    [
        (Traffic(), None),
        (Traffic(rate_per_s=5.0), POISSON),
        (Traffic(rate_per_s=5.0, arrivals="even"), CONSTANT_RATE),
        (Traffic(rate_per_s=5.0, arrivals="gamma", burstiness=0.5), GAMMA),
        (Traffic(rate_per_s=5.0, burstiness=0.5), GAMMA),
        (Traffic(users=3), SESSIONS),
        (Traffic(users=3, think_time_s=1.0), SESSIONS),
        (Traffic(sessions_per_s=3.0), SESSIONS),
        (Traffic(sessions_per_s=3.0, arrivals="gamma", burstiness=2.0), SESSIONS),
        (Traffic(replay=Path("due.txt")), REPLAY),
    ],
)
def test_the_options_imply_their_scenario(traffic, name):
    assert traffic.name == name
    traffic.check()


@pytest.mark.parametrize(
    ("traffic", "why"),
    [
        (Traffic(GAMMA, burstiness=0.5), "--rate is missing"),
        (Traffic(GAMMA, rate_per_s=5.0), "--burstiness is missing; allowed: given with --arrivals"),
        (Traffic(rate_per_s=5.0, arrivals="gamma"), "--burstiness is missing"),
        (
            Traffic(rate_per_s=5.0, arrivals="even", burstiness=0.5),
            "--arrivals is 'even'; allowed: gamma",
        ),
        (Traffic(POISSON, rate_per_s=5.0, arrivals="gamma"), "allowed: poisson, as --scenario"),
        (Traffic(POISSON, rate_per_s=5.0, burstiness=0.5), "given only with --scenario gamma"),
        (
            Traffic(stages=((1.0, 5.0, False),), arrivals="gamma"),
            "--arrivals is 'gamma'; allowed: poisson or even, as --scenario is stages",
        ),
        (Traffic(burstiness=0.5), "given only with --scenario gamma, sessions"),
        (Traffic(SESSIONS), "--users is missing; allowed: given, or --sessions_per_s"),
        (Traffic(users=3, sessions_per_s=1.0), "left out with --users"),
        (Traffic(users=3, arrivals="even"), "whose conversations do not arrive"),
        (Traffic(users=3, burstiness=0.5), "given only with --arrivals gamma"),
        (Traffic(sessions_per_s=3.0, burstiness=0.5), "given only with --arrivals gamma"),
        (Traffic(sessions_per_s=3.0, arrivals="gamma"), "--burstiness is missing"),
        (Traffic(users=3, rate_per_s=5.0), "--rate is 5.0"),
        (Traffic(users=3, max_backlog=5), "--max_backlog is 5"),
        (Traffic(users=3, max_batch_size=5), "--max_batch_size is 5"),
        (Traffic("ClosedLoop", users=3), "given only with --scenario sessions"),
        (Traffic(POISSON, rate_per_s=3.0, think_time_s=1.0), "closed_loop, sessions"),
        (Traffic(REPLAY), "--replay is missing"),
    ],
)
def test_combinations_that_mean_nothing_are_told(traffic, why):
    with pytest.raises(Faults) as refused:
        traffic.check()
    assert why in str(refused.value)


TRACE, DUES = Path("trace.jsonl"), Path("/tmp/prompts/dues.txt")


@pytest.mark.parametrize(
    "traffic",
    [Traffic(), Traffic(REPLAY), Traffic(replay_speed=2.0), Traffic(REPLAY, max_backlog=3)],
)
def test_prompts_with_due_times_are_replayed_unless_another_load_is_asked_for(traffic):
    traffic.check(prompts=True)
    with_dues = traffic.with_dues(TRACE, DUES)
    (scenario,) = with_dues.scenarios()
    assert scenario.name == REPLAY
    assert scenario.due_file == str(TRACE.absolute())
    assert scenario.read_from == str(DUES)
    assert "read_from" not in scenario.settings() | scenario.published()


@pytest.mark.parametrize(
    "traffic",
    [
        Traffic("ClosedLoop"),
        Traffic(rate_per_s=3.0),
        Traffic(users=3),
        Traffic(replay=Path("own.txt")),
    ],
)
def test_another_load_that_is_asked_for_stays(traffic):
    assert traffic.with_dues(TRACE, DUES) is traffic


def test_prompts_without_due_times_have_none_to_replay():
    assert Traffic().with_dues(TRACE, None) == Traffic()
    with pytest.raises(Faults, match="the prompts have no due times"):
        Traffic(replay_speed=2.0).with_dues(TRACE, None)
