"""OpenAI's responses, as OpenAI and vLLM speak them: a stream of typed events."""

from __future__ import annotations

import re
from typing import Any

from qs.llm.answer import Answer, Channel, Delta, Finish
from qs.llm.apis.api import Event
from qs.llm.apis.fields import (
    as_text,
    bearer,
    error_of,
    finish_of,
    lengths,
    loaded,
    merged,
    read_usage,
    repeatable,
)
from qs.llm.apis.whole import HEAD_BYTES, whole_body
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

_TOKEN = re.compile(rb'"(?:delta|text|refusal|arguments)"\s*:\s*"[^"]')
_COMPLETED = re.compile(rb'"type"\s*:\s*"response\.completed"')
_NO_ERROR = re.compile(rb'"error"\s*:\s*null')
# Events whose `delta` is text that the model wrote. Those named .done say it all again.
_DELTAS = {
    "response.output_text.delta": Channel.CONTENT,
    "response.refusal.delta": Channel.CONTENT,
    "response.reasoning_text.delta": Channel.REASONING,
    "response.reasoning.delta": Channel.REASONING,
    "response.reasoning_summary_text.delta": Channel.REASONING,
    "response.function_call_arguments.delta": Channel.TOOL_CALL,
    "response.custom_tool_call_input.delta": Channel.TOOL_CALL,
}
_LAST = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class Responses:
    path = "responses"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "model": model,
            "input": [each.as_sent() for each in prompt.messages],
            **lengths(prompt, asked, "max_output_tokens"),
            "stream": asked.stream,
            **repeatable(asked),
        }
        return merged(ours, asked, prompt)

    def read_event(self, event: Event, answer: Answer) -> None:
        content = loaded(event.data)
        if not isinstance(content, dict):
            # vLLM ends its streams like those of chat.
            answer.ended = answer.ended or event.data.strip() == b"[DONE]"
            answer.other_events += 1
            return
        before = len(answer.deltas)
        kind = content.get("type")
        kind = kind if isinstance(kind, str) else event.name.decode("latin-1")
        channel = _DELTAS.get(kind)
        if channel is not None:
            text = content.get("delta")
            if text and isinstance(text, str):
                answer.deltas.append(Delta(event.at_ns, channel, text))
        elif kind == "response.output_item.added":
            item = content.get("item")
            if isinstance(item, dict) and as_text(item.get("name")):
                answer.deltas.append(Delta(event.at_ns, Channel.TOOL_CALL, as_text(item["name"])))
        elif kind in _LAST:
            response = content.get("response")
            if isinstance(response, dict):
                _read_response(response, event.at_ns, answer)
        elif kind == "error" or "error" in content:
            answer.error = answer.error or error_of(content, b"error")
        if len(answer.deltas) == before:
            answer.other_events += 1

    def read_whole(self, body: bytes, answer: Answer) -> None:
        content = loaded(body)
        if isinstance(content, dict):
            _read_response(content, 0, answer)

    def looks_whole(self, body: bytes, streamed: bool) -> bool:
        if not streamed:
            # `"error": null` stands in each.
            return whole_body(_NO_ERROR.sub(b"", body[:HEAD_BYTES]) + body[HEAD_BYTES:], _TOKEN)
        at = body.rfind(b'"response.completed"')
        if at < 0 or _COMPLETED.search(body, max(at - 16, 0)) is None:
            return False
        last = _NO_ERROR.sub(b"", body[at : at + HEAD_BYTES])
        return b'"error"' not in last and _TOKEN.search(body) is not None


def _read_response(response: dict[str, Any], at_ns: int, answer: Answer) -> None:
    """The whole of it, as the last event has it too: its text counts where no event had any."""
    output = response.get("output")
    items = [each for each in output if isinstance(each, dict)] if isinstance(output, list) else []
    if not answer.deltas:
        for item in items:
            _read_item(item, at_ns, answer)
    read_usage(response.get("usage"), answer)
    model = response.get("model")
    answer.model = answer.model or (model if isinstance(model, str) else "")
    status = response.get("status")
    error = error_of(response)
    if status in ("failed", "cancelled"):
        error = error or str(status)
    answer.error = answer.error or error
    if status == "completed" or (status is None and items):
        answer.ended = True
        called = any(str(item.get("type", "")).endswith("_call") for item in items)
        answer.finish = Finish.TOOL_CALLS if called else Finish.STOP
    elif status == "incomplete":
        answer.ended = True
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        answer.finish = finish_of(reason) or Finish.OTHER


def _read_item(item: dict[str, Any], at_ns: int, answer: Answer) -> None:
    """A message, the reasoning, or a call of a tool."""
    kind = item.get("type")
    if kind in ("function_call", "custom_tool_call"):
        told = as_text(item.get("arguments")) or as_text(item.get("input"))
        text = as_text(item.get("name")) + told
        if text:
            answer.deltas.append(Delta(at_ns, Channel.TOOL_CALL, text))
        return
    channel = Channel.REASONING if kind == "reasoning" else Channel.CONTENT
    for name in ("summary", "content"):
        parts = item.get(name)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                text = as_text(part.get("text")) or as_text(part.get("refusal"))
                if text:
                    answer.deltas.append(Delta(at_ns, channel, text))
