"""The APIs by the names that a user types."""

from __future__ import annotations

from qs.llm.apis.api import Api
from qs.llm.apis.chat import Chat

_APIS: dict[str, Api] = {"chat": Chat()}


def api_of(name: str) -> Api:
    """`name` is one of `qs.llm.asked.APIS`."""
    return _APIS[name]
