"""What the benchmarks call, where a worker process must be able to find it by name."""

from __future__ import annotations

import asyncio
import time
from typing import Any


def no_op(sample: Any) -> None:
    """Nothing, so that what remains is the engine's own cost."""


async def yield_once(sample: Any) -> None:
    """A coroutine that goes through the event loop once."""
    await asyncio.sleep(0)


class Sleeper:
    """A server of fixed service time: sleeps, and holds neither a core nor the GIL meanwhile."""

    def __init__(self, service_s: float):
        self.service_s = service_s

    def __call__(self, sample: Any) -> None:
        time.sleep(self.service_s)
