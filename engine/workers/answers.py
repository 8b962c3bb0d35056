"""Whether an answer is there. What a target returns may only promise one: a coroutine, a future, a
generator; timing that would measure how long a promise takes.

Workers look between slices: at a worker's first answer, and at one now and then.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from qs.engine.errors import UnfinishedAnswer

# What is looked at if no call has answered yet.
UNANSWERED = object()
# Parts of a list or a mapping that are looked at; those that follow are of the same making.
_PARTS = 16
_LAZY = (map, filter, zip, enumerate)


def look(answer: Any) -> None:
    """Raise UnfinishedAnswer for an answer that is not there yet, or has a part (an item of a list,
    a tuple or a mapping) that is not.
    """
    # The methods of the built-in types: those of a target's own could raise.
    parts: Iterator[Any] = iter((answer,))
    if isinstance(answer, dict):
        parts = islice(dict.values(answer), _PARTS)
    elif isinstance(answer, list):
        parts = islice(list.__iter__(answer), _PARTS)
    elif isinstance(answer, tuple):
        parts = islice(tuple.__iter__(answer), _PARTS)
    for part in parts:
        promised = promise_of(part)
        if promised is not None:
            inside = "" if part is answer else f"{_a(type(answer).__name__)} with "
            raise UnfinishedAnswer(f"the target returned {inside}{_a(promised)}")


def promise_of(answer: Any) -> str | None:
    """What it is if it only promises an answer, and what to do; None if it is one."""
    name = type(answer).__name__
    if inspect.isgenerator(answer) or inspect.isasyncgen(answer) or isinstance(answer, _LAZY):
        return (
            f"{name.replace('_', ' ')}, of which nothing has run yet; "
            "let the target consume it and return when the last part is there"
        )
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()  # nobody will await it, and Python would warn of that
        return (
            f"{name}, which nobody awaits here; "
            "declare the target `async def` and await it there (a Factory: with Pool('async'))"
        )
    has = _methods_of(answer)
    if has("result", "done") or has("result", "add_done_callback"):
        return f"{name}, which may not be done; let the target wait for its result()"
    if has("wait", "done") or has("get", "ready"):
        wait = "wait()" if has("wait", "done") else "get()"
        return f"{name}, which may not be done; let the target return what its {wait} returns"
    if has("is_ready", "block_until_ready"):
        with suppress(Exception):
            if not answer.is_ready():
                return f"{name}, which is still computed; let the target call block_until_ready()"
    return None


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _methods_of(answer: Any) -> Callable[..., bool]:
    """Whether the answer's type has all of some methods; what stands in the answer itself, as the
    keys of some mappings do, is data.
    """
    kind = type(answer)
    return lambda *names: all(callable(getattr(kind, name, None)) for name in names)
