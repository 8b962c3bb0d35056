"""The seconds that a question waits for somebody: a line below it, which any key removes.

When they have passed without a key, the question ends with NOT_ANSWERED.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qs.interact.settling import NOT_ANSWERED

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.formatted_text import StyleAndTextTuples

TICK_S = 1.0


@contextmanager
def counting_down(application: Application[Any], seconds: float) -> Iterator[None]:
    """Count down from `seconds` while the application runs within."""
    from prompt_toolkit.filters import Condition, is_done
    from prompt_toolkit.layout import (
        ConditionalContainer,
        FormattedTextControl,
        HSplit,
        Layout,
        Window,
    )

    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    counts = True

    def left_s() -> float:
        return max(ends - loop.time(), 0.0)

    def on_key(_: object) -> None:
        nonlocal counts
        counts = False

    async def tick() -> None:
        while counts and left_s() > 0:
            await asyncio.sleep(min(TICK_S, left_s()))
            application.invalidate()
        if counts and application.is_running and not application.is_done:
            application.exit(result=NOT_ANSWERED)

    def text() -> StyleAndTextTuples:
        return [("class:countdown fg:ansiyellow", said(math.ceil(left_s())))]

    line = ConditionalContainer(
        Window(FormattedTextControl(text), height=1, dont_extend_height=True),
        Condition(lambda: counts) & ~is_done,
    )
    before = application.layout
    application.layout = Layout(HSplit([before.container, line]), before.current_window)
    application.key_processor.before_key_press += on_key
    ticking = asyncio.ensure_future(tick())
    try:
        yield
    finally:
        ticking.cancel()
        application.layout = before


def said(seconds: int) -> str:
    """What stands below the question; the number first, where a terminal is narrow."""
    return f"{seconds} s until the default is taken; any key stops the clock"
