"""The APIs by the names that a user types."""

from __future__ import annotations

from qs.llm.apis.api import Api
from qs.llm.apis.chat import Chat
from qs.llm.apis.completions import Completions
from qs.llm.apis.embeddings import Embeddings
from qs.llm.apis.messages import Messages
from qs.llm.apis.responses import Responses

_APIS: dict[str, Api] = {
    "chat": Chat(),
    "completions": Completions(),
    "embeddings": Embeddings(),
    "responses": Responses(),
    "messages": Messages(),
}


def api_of(name: str) -> Api:
    """`name` is one of `qs.llm.asked.APIS`."""
    return _APIS[name]
