"""Which load prompts have: a trace is replayed, conversations are sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qs.base.errors import Faults
from qs.base.scenarios import POISSON, REPLAY, SESSIONS
from qs.evaluate.prompted import check_of_task, check_traffic, with_load
from qs.settings.request import Request
from qs.settings.traffic import Traffic

PLAIN = {"conversations": False, "dues": None}
TRACE = {"conversations": False, "dues": "/tmp/dues.csv"}
TALKS = {"conversations": True, "dues": None}
ASKED = Request("", "OPENAI", remote={"llm": {"prompts": "/tmp/trace.jsonl"}})


def asked(clients: int | None = None, **traffic) -> Request:
    return replace(ASKED, clients=clients, traffic=Traffic(**traffic))


@pytest.mark.parametrize(
    ("request_", "prompts", "name"),
    [
        (asked(), PLAIN, None),
        (asked(), None, None),
        (asked(), TRACE, REPLAY),
        (asked(replay_speed=2.0), TRACE, REPLAY),
        (asked(clients=4), TRACE, None),
        (asked(rate_per_s=3.0), TRACE, POISSON),
        (asked(), TALKS, SESSIONS),
        (asked(clients=7), TALKS, SESSIONS),
        (asked(sessions_per_s=2.0), TALKS, SESSIONS),
        (asked(users=2), PLAIN, SESSIONS),
    ],
)
def test_the_load_of_prompts(request_, prompts, name):
    check_traffic(request_)
    assert with_load(request_, prompts).traffic.name == name


def test_clients_are_the_users_of_conversations_and_a_trace_is_read_from_its_dues():
    found = with_load(asked(clients=7), TALKS)
    assert (found.clients, found.traffic.users) == (None, 7)
    found = with_load(asked(replay_speed=2.0), TRACE)
    assert found.traffic.replay == Path("/tmp/trace.jsonl")
    assert (found.traffic.dues, found.traffic.replay_speed) == (Path("/tmp/dues.csv"), 2.0)


@pytest.mark.parametrize(
    ("request_", "prompts", "words"),
    [
        (asked(rate_per_s=3.0), TALKS, "the prompts are turns of conversations"),
        (asked(replay_speed=2.0), PLAIN, "--replay"),
        (asked(scenario="MultiStream"), PLAIN, "each prompt is a request of its own"),
    ],
)
def test_loads_that_prompts_cannot_have(request_, prompts, words):
    with pytest.raises(Faults, match=words):
        with_load(request_, prompts)


def test_a_task_has_its_own_prompts():
    llm = {"input_tokens": "9", "turns": 2, "output_tokens": "4", "api_key": "@env:K"}
    with pytest.raises(Faults) as refused:
        check_of_task(replace(ASKED, remote={"llm": llm}))
    assert "--input_tokens" in str(refused.value) and "--turns" in str(refused.value)
    assert "api_key" not in str(refused.value) and "--output_tokens" not in str(refused.value)
