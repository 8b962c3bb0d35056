"""Says in a few lines what a target raised, without keeping the exception (and the frames and arrays it holds) alive."""

from __future__ import annotations

import traceback

LIMIT = 4_000


def describe(fault: BaseException) -> str:
    """The fault's traceback as text, from the target's frames on, at most LIMIT characters from its end."""
    text = "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
    return text[-LIMIT:]
