"""What OpenAI's chat completions and completions of a text have in common: the fields of a request
beside its prompt, and what stands around the choices of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from qs.llm.answer import Answer
from qs.llm.apis.fields import lengths, loaded, merged, read_beside, repeatable
from qs.llm.apis.whole import whole_body, whole_stream
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

_DONE = (b"\ndata: [DONE]", b"\ndata:[DONE]")
_FINISH = (b'"finish_reason":"', b'"finish_reason": "')


def request_body(
    said: Mapping[str, Any], prompt: Prompt, asked: LlmAsked, model: str, *others: str
) -> dict[str, Any]:
    """A request's JSON; `said` has the prompt, `others` are further names of `max_tokens`."""
    ours: dict[str, Any] = {
        "model": model,
        **said,
        # The only name of it that TGI and Ollama know, and the rest knows it too.
        **lengths(prompt, asked, "max_tokens", *others, exact=True),
        "stream": asked.stream,
        **repeatable(asked, seed=True),
    }
    if asked.stream:
        ours["stream_options"] = {"include_usage": True}
    return merged(ours, asked, prompt)


def content_of(data: bytes, answer: Answer) -> dict[str, Any] | None:
    """What an event says; None of one that says nothing more than that the stream has ended."""
    try:
        content = orjson.loads(data)
    except ValueError:
        content = loaded(data)
    if type(content) is dict:
        return content
    if data.strip() == b"[DONE]":
        answer.ended = True
    else:
        answer.other_events += 1
    return None


def read_around(content: Mapping[str, Any], answer: Answer, name: bytes, before: int) -> None:
    """What stands beside the choices of an event called `name`. There were `before` pieces of the
    answer before it.
    """
    if len(answer.deltas) == before:
        answer.other_events += 1
    if (
        not answer.model
        or content.get("usage")
        or "timings" in content
        or "error" in content
        or "choices" not in content
    ):
        read_beside(content, answer, name)


def looks_whole(body: bytes, streamed: bool, token: re.Pattern[bytes]) -> bool:
    """As `Api.looks_whole`; `token` finds what only a token is written as."""
    return whole_stream(body, token, _DONE, _FINISH) if streamed else whole_body(body, token)
