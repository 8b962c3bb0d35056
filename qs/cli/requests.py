"""What was typed, as the Request that the program runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from qs.cli.defaults import origins
from qs.result.result import Kind
from qs.settings.request import Feeding, Request
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
    fed = Feeding()
    if "fill" in given:
        states = dict(given.pop("state"))
        fed = Feeding(
            dict(given.pop("shape")),
            dict(given.pop("types")),
            dict(given.pop("ranges")),
            dict(given.pop("data")),
            {} if given.pop("no_state") else states or None,
            given.pop("fill"),
        )
    keep = not given.pop("no_history", False)
    return Request(
        **{"task": "", **given},
        kind=kind,
        traffic=traffic,
        feeding=fed,
        history=keep,
        origins=origins(),
    )
