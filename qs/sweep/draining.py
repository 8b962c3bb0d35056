"""Between two trials of a search: the server's own queue runs empty, so that no trial is measured
against what the one before has left. A server that tells nothing is left alone for a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from qs.base.words import counted, span
from qs.evaluate.served_model import Served
from qs.remote.metrics import Page
from qs.remote.sampler import Unread
from qs.remote.watching import MetricsProbe
from qs.result.llm_server import STATES

MOST_S = 30.0  # a server that others use never runs empty
EVERY_S = 0.25
BUSY = ("running", "queue")  # of STATES
NAMES = tuple(
    name for told in STATES if told.name in BUSY for name in told.names if "{" not in name
)


async def drained(served: Served | None, say: Callable[[str], None], rest_s: float = 0.0) -> None:
    """Wait until the server has nothing to do, at most MOST_S; `rest_s` is waited where it does not
    tell.
    """
    probe = None if served is None else served.watch.probe(NAMES)
    if probe is None:
        await asyncio.sleep(rest_s)
        return
    began = time.monotonic()
    left: float | None = None
    try:
        while time.monotonic() - began < MOST_S:
            left = await asyncio.to_thread(_left, probe)
            if left is None:
                await asyncio.sleep(rest_s)
                return
            if not left:
                break
            await asyncio.sleep(EVERY_S)
    finally:
        await asyncio.to_thread(probe.close)
    took_s = time.monotonic() - began
    if left:
        rest = counted(round(left), "request")
        say(f"the server still has {rest} after {span(took_s)}: somebody else uses it too")
    elif took_s > 1.0:
        say(f"waited {span(took_s)} until the server had nothing left to do")


def busy(page: Page) -> float | None:
    """How many requests run and wait, by a page of metrics; None if it does not tell."""
    found = [
        values[0]
        for series, values in page.values.items()
        if series.name in NAMES and len(values) == 1
    ]
    return sum(found) if found else None


def _left(probe: MetricsProbe) -> float | None:
    try:
        return busy(probe.read())
    except (Unread, OSError):
        return None
