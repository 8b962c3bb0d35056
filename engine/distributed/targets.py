"""What nodes call, where that is made by the object that lives in each node's process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qs.engine.plan import RunPlan


@dataclass(frozen=True)
class NodesTarget:
    """A target that each node's object makes: there, `method(**kwargs)` returns what `run_async`
    takes, a host's target for instance.

    `kwargs` are plain data, the same for all nodes; or a function that is called here, with a
    share's number and its plan, and returns those of that share.
    """

    method: str
    kwargs: Mapping[str, Any] | Callable[[int, RunPlan], Mapping[str, Any]] = field(
        default_factory=dict
    )

    def of(self, number: int, share: RunPlan) -> NodesTarget:
        """What the node with this share is sent."""
        if not callable(self.kwargs):
            return self
        return replace(self, kwargs=dict(self.kwargs(number, share)))
