"""Anthropic's messages, as Anthropic, vLLM, llama.cpp and LiteLLM speak them."""

from __future__ import annotations

import re
from typing import Any

from qs.llm.answer import Answer, Channel, Delta
from qs.llm.apis.api import Event
from qs.llm.apis.fields import (
    as_text,
    error_of,
    finish_of,
    lengths,
    loaded,
    merged,
    repeatable,
    whole_number,
)
from qs.llm.apis.whole import whole_body, whole_stream
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

VERSION = "2023-06-01"
# The API wants a most; this is sent where nobody states one.
MOST_TOKENS = 1024
_TOKEN = re.compile(rb'"(?:text|thinking|partial_json)"\s*:\s*"[^"]')
_END = (b"message_stop",)
_FINISH = (b'"stop_reason":"', b'"stop_reason": "')
# Of a delta: which field holds text, and of which channel.
_DELTAS = {
    "text_delta": ("text", Channel.CONTENT),
    "thinking_delta": ("thinking", Channel.REASONING),
    "input_json_delta": ("partial_json", Channel.TOOL_CALL),
}


class Messages:
    path = "messages"

    def headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        system = [each.content for each in prompt.messages if each.role == "system"]
        turns = [each for each in prompt.messages if each.role != "system"]
        ours: dict[str, Any] = {
            "model": model,
            "messages": [each.as_sent() for each in turns],
            "max_tokens": MOST_TOKENS,
            **lengths(prompt, asked, "max_tokens"),
            "stream": asked.stream,
            **repeatable(asked),
        }
        if system:
            ours["system"] = "\n\n".join(system)
        return merged(ours, asked, prompt)

    def read_event(self, event: Event, answer: Answer) -> None:
        content = loaded(event.data)
        if not isinstance(content, dict):
            answer.other_events += 1
            return
        before = len(answer.deltas)
        kind = content.get("type")
        if kind == "content_block_delta":
            delta = content.get("delta")
            if isinstance(delta, dict):
                name, channel = _DELTAS.get(as_text(delta.get("type")), ("", Channel.CONTENT))
                text = delta.get(name)
                if text and isinstance(text, str):
                    answer.deltas.append(Delta(event.at_ns, channel, text))
        elif kind == "content_block_start":
            _read_block(content.get("content_block"), event.at_ns, answer, begun=True)
        elif kind == "message_start":
            if isinstance(content.get("message"), dict):
                _read_message(content["message"], answer)
        elif kind == "message_delta":
            if isinstance(content.get("delta"), dict):
                answer.finish = finish_of(content["delta"].get("stop_reason")) or answer.finish
            _read_usage(content.get("usage"), answer)
        elif kind == "message_stop":
            answer.ended = True
        elif answer.error is None:
            answer.error = error_of(content, event.name)
        if len(answer.deltas) == before:
            answer.other_events += 1

    def read_whole(self, body: bytes, answer: Answer) -> None:
        content = loaded(body)
        if not isinstance(content, dict):
            return
        answer.error = error_of(content)
        blocks = content.get("content")
        if isinstance(blocks, list):
            for block in blocks:
                _read_block(block, 0, answer)
            answer.ended = True
        _read_message(content, answer)
        answer.finish = finish_of(content.get("stop_reason"))

    def looks_whole(self, body: bytes, streamed: bool) -> bool:
        if streamed:
            return whole_stream(body, _TOKEN, _END, _FINISH)
        return whole_body(body, _TOKEN)


def _read_message(message: dict[str, Any], answer: Answer) -> None:
    _read_usage(message.get("usage"), answer)
    model = message.get("model")
    answer.model = answer.model or (model if isinstance(model, str) else "")


def _read_block(block: Any, at_ns: int, answer: Answer, begun: bool = False) -> None:
    """A part of the answer: whole, or at its beginning, where the input of a tool is still {}."""
    if not isinstance(block, dict):
        return
    kind = block.get("type")
    channel, text = Channel.CONTENT, ""
    if kind == "thinking":
        channel, text = Channel.REASONING, as_text(block.get("thinking"))
    elif kind == "tool_use":
        told = "" if begun else as_text(block.get("input"))
        channel, text = Channel.TOOL_CALL, as_text(block.get("name")) + told
    elif kind == "text":
        text = as_text(block.get("text"))
    if text:
        answer.deltas.append(Delta(at_ns, channel, text))


def _read_usage(usage: Any, answer: Answer) -> None:
    """What was read from or written to the cache stands beside `input_tokens`, not in them."""
    if not isinstance(usage, dict):
        return
    found = whole_number(usage.get("output_tokens"))
    answer.output_tokens = answer.output_tokens if found is None else found
    found = whole_number(usage.get("input_tokens"))
    cached = whole_number(usage.get("cache_read_input_tokens"))
    written = whole_number(usage.get("cache_creation_input_tokens"))
    if found is not None:
        answer.input_tokens = found + (cached or 0) + (written or 0)
    answer.cached_tokens = answer.cached_tokens if cached is None else cached
