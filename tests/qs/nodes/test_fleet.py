from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from qs.engine import HostTimeout
from qs.engine.distributed import NodeLost, NodesError
from qs.nodes.fleet import Fleet
from qs.settings.nodes_asked import NodesAsked


class Many:
    """Open nodes that count how often they are asked who is lost."""

    joining: Any = None

    def __init__(self, count: int, fault: Exception | None = None):
        self.names = tuple(f"node-{at + 1}" for at in range(count))
        self.asked = 0
        self._fault = fault

    @property
    def lost(self) -> dict[int, str]:
        self.asked += 1
        return {1: "it died"}

    async def call(self, method: str, deadline_s: float, **_: Any) -> list[Any]:
        if self._fault is not None:
            raise self._fault
        return [{"text": "said"} for _ in self.names]


def fleet_over(nodes: Many) -> Fleet:
    return Fleet(nodes, NodesAsked(nodes=2), None, print)  # type: ignore[arg-type]


def test_nodes_are_asked_once_who_is_lost():
    nodes = Many(300)
    fleet = fleet_over(nodes)
    assert fleet.count == 299 and "node-2" not in fleet.names
    assert len(asyncio.run(fleet.logs())) == 299 and fleet.lost == {"node-2": "it died"}
    assert nodes.asked < 10


@pytest.mark.parametrize(
    "fault",
    [NodesError("no node is left"), NodeLost("it died"), HostTimeout("log", 60.0)],
    ids=["none left", "lost", "hangs"],
)
def test_a_result_is_kept_where_nobody_can_say_what_was_printed(fault):
    part = SimpleNamespace(name="node-1", log="", facts={})
    result = SimpleNamespace(errors=1, losses=[], nodes=[part])

    async def run(*_: Any, **__: Any) -> Any:
        return result

    nodes = Many(2, fault)
    nodes.run = run  # type: ignore[attr-defined]
    assert asyncio.run(fleet_over(nodes).run(None, None, None)) is result  # type: ignore[arg-type]
