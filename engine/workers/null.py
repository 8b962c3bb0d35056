"""Targets that do nothing, at module level so that any process can be told of them: what is left in
a run is the engine's own cost.
"""

from __future__ import annotations

from typing import Any


def nothing(sample: Any) -> None:
    """Answers at once."""


async def nothing_awaited(sample: Any) -> None:
    """Answers at once, without letting the event loop go on to another."""
