"""What the prompts of a language model say of the load: a trace is replayed, and conversations are
sessions, unless another load was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults
from qs.base.scenarios import MULTI_STREAM, REPLAY, SESSIONS, spelled
from qs.llm.asked import flag_of
from qs.settings.request import Request
from qs.settings.traffic import Traffic

# What says where prompts come from.
_OF_PROMPTS = (
    *("prompts", "prompt_format", "input_tokens", "prefix_share", "prefixes", "prompt_count"),
    *("turns", "history", "score"),
)


def check_traffic(request: Request) -> None:
    """Raises Faults for options of load that do not go together, as far as that is known before
    the prompts are read: those of a replay may be of a trace among them.
    """
    llm = request.remote.get("llm") or {}
    _as_replay(request.traffic, bool(llm.get("prompts"))).check(prompts=bool(llm))


def check_of_task(request: Request) -> None:
    """Raises Faults for options that say what is asked, where a task's data says it."""
    allowed = "nothing, with a task: its data set has what is asked"
    faults = [
        Fault(flag_of(name), "", str(value), allowed)
        for name, value in (request.remote.get("llm") or {}).items()
        if name in _OF_PROMPTS
    ]
    if faults:
        raise Faults(faults)


def with_load(request: Request, prompts: Mapping[str, Any] | None) -> Request:
    """The request with the load that its prompts have, where none was asked for. Raises Faults for
    one that they cannot have.

    prompts   as qs.inside.served_prompts.make_prompts describes them; None: there are none
    """
    if prompts is None:
        return request
    file = (request.remote.get("llm") or {}).get("prompts")
    traffic = _as_replay(request.traffic, bool(file))
    name, talks = traffic.name, prompts["conversations"]
    faults = []
    if name == MULTI_STREAM or traffic.samples_per_query:
        allowed = "another: each prompt is a request of its own"
        faults.append(Fault("--scenario", "", spelled(name or MULTI_STREAM), allowed))
    if talks and name not in (None, SESSIONS):
        allowed = "sessions (--users, --sessions_per_s): the prompts are turns of conversations"
        faults.append(Fault("--scenario", "", spelled(name or ""), allowed))
    if faults:
        raise Faults(faults)
    if talks and name is None:
        users = request.clients or 1
        return replace(request, clients=None, traffic=replace(traffic, users=users))
    if name is None and request.clients is not None:
        return request  # so many prompts at a time, whenever a trace had them
    dues = Path(prompts["dues"]) if prompts["dues"] else None
    return replace(request, traffic=traffic.with_dues(Path(file) if file else None, dues))


def _as_replay(traffic: Traffic, prompts: bool) -> Traffic:
    """Whose speed is stated is a replay, where prompts may be one."""
    if prompts and traffic.name is None and traffic.replay_speed is not None:
        return replace(traffic, scenario=REPLAY)
    return traffic
