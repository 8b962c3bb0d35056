"""What was typed, as the Request that the program runs on."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from qs.base.errors import Fault, Faults
from qs.base.headers import without_secrets
from qs.cli import nodes, remote
from qs.cli.defaults import origins
from qs.cli.types import BEST
from qs.limit.goals import parse_goals
from qs.result.result import Kind
from qs.settings.request import Feeding, Request, with_totals
from qs.settings.traffic import StopRules, Traffic


def request_of(options: Mapping[str, Any], kind: Kind = Kind.RUN) -> Request:
    """The Request that these options ask for. An option that a command does not have counts as not
    given.
    """
    given = dict(options)
    delay_s = given.pop("max_delay", None)
    delay_us = None if delay_s is None else delay_s * 1e6

    def taken(cls: type) -> dict[str, Any]:
        names = [each.name for each in fields(cls)]
        return {name: given.pop(name) for name in names if name in given}

    stop = StopRules(**taken(StopRules))
    traffic = Traffic(**taken(Traffic), stop=stop, max_delay_us=delay_us)
    over = nodes.taken(given, traffic)
    fed = Feeding()
    if "fill" in given:
        named = {flag: given.pop(flag) for flag in ("state", "shape", "types", "ranges", "data")}
        _check_once(named)
        states = dict(named["state"])
        fed = Feeding(
            dict(named["shape"]),
            dict(named["types"]),
            dict(named["ranges"]),
            dict(named["data"]),
            {} if given.pop("no_state") else states or None,
            given.pop("fill"),
            given.pop("batch_axis"),
        )
    asked = remote.taken(given)
    goals = parse_goals(given.pop("slo", ()))
    if isinstance(given.get("artifact"), str):
        asked = {"url": given["artifact"], **asked}
    if "verify" in given:
        asked, given["verify"] = remote.with_answers_kept(asked, given["verify"])
    keep = not given.pop("no_history", False)
    if given.get("tags") and not keep:
        tags = ", ".join(given["tags"])
        raise Faults([Fault("--tag", "", tags, "a run that the history keeps: no --no_history")])
    best = given.get("batch_sizes") == BEST
    if best:
        given["batch_sizes"] = None
    command = without_secrets(given.pop("command", sys.argv))
    request = Request(
        **{"task": "", **given},
        nodes=over,
        command=command,
        remote=asked,
        kind=kind,
        traffic=traffic,
        feeding=fed,
        goals=goals,
        history=keep,
        best_batch_sizes=best,
        origins=origins(),
    )
    if over is None or isinstance(over.nodes, str):  # how many these are is not known yet
        return request
    return with_totals(request, over.nodes)


def _check_once(named: Mapping[str, Sequence[tuple[str, Any]]]) -> None:
    """Raises Faults for an input that one flag names twice."""
    faults = []
    for flag, pairs in named.items():
        names = [name for name, _ in pairs]
        for name in dict.fromkeys(each for each in names if names.count(each) > 1):
            values = ", ".join(str(value) for key, value in pairs if key == name)
            flag = {"types": "type", "ranges": "range"}.get(flag, flag)
            faults.append(Fault(f"--{flag} {name}", "", values, "one value for each input"))
    if faults:
        raise Faults(faults)
