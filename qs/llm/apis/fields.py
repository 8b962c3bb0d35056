"""What the APIs have in common: fields of requests, and reading what a server may have made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from qs.llm.answer import Answer, Finish
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

# What a server of any kind calls an end.
_FINISHES = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "eos_token": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "stop_token": Finish.STOP,
    "end_turn": Finish.STOP,
    "completed": Finish.STOP,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "max_output_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "tool_use": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.CONTENT_FILTER,
    "refusal": Finish.CONTENT_FILTER,
}
MOST_ERROR_CHARACTERS = 300


def merged(ours: Mapping[str, Any], asked: LlmAsked, prompt: Prompt) -> dict[str, Any]:
    """The user's fields over ours, the prompt's over both; without those that are None."""
    fields = {**ours, **asked.body, **prompt.body}
    return {name: value for name, value in fields.items() if value is not None}


def lengths(prompt: Prompt, asked: LlmAsked, most: str, *others: str) -> dict[str, Any]:
    """How long the answer is to be: `most` is what the API calls it. Where the user says it, under
    that name or another, ours is not sent.
    """
    if prompt.output_tokens is None:
        return {}
    told = {**asked.body, **prompt.body}
    sent: dict[str, Any] = {}
    if not any(name in told for name in (most, *others)):
        sent[most] = prompt.output_tokens
    if asked.exact_lengths == "always":
        sent |= {"min_tokens": prompt.output_tokens, "ignore_eos": True}
    return sent


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def loaded(data: bytes) -> Any:
    """What the JSON says; None for what is none."""
    try:
        return orjson.loads(data)
    except ValueError:
        return None


def finish_of(word: object) -> Finish | None:
    """None as long as it has not ended."""
    if not word:
        return None
    return _FINISHES.get(word, Finish.OTHER) if isinstance(word, str) else Finish.OTHER


def whole_number(value: object) -> int | None:
    """A count of a server's; None for what cannot be one. Some write it as 12.0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < 1 << 53 and value == int(value) else None


def error_of(content: Any) -> str | None:
    """What the error says, in any of the shapes that servers give it; None: there is none."""
    if not isinstance(content, dict):
        return None
    told = content.get("error")
    if not told:
        if content.get("object") == "error" or content.get("type") == "error":
            told = content
        else:
            return None
    if isinstance(told, dict):
        for name in ("message", "msg", "detail", "error", "type", "code"):
            inner = told.get(name)
            if inner:
                told = inner
                break
    text = told if isinstance(told, str) else orjson_text(told)
    return " ".join(text.split())[:MOST_ERROR_CHARACTERS] or "error"


def orjson_text(content: Any) -> str:
    try:
        return orjson.dumps(content).decode()
    except (TypeError, ValueError):
        return "error"


def read_usage(usage: Any, answer: Answer) -> None:
    """OpenAI's usage under either pair of names; the last one counts, where it comes with each
    event.
    """
    if not isinstance(usage, dict):
        return
    found = whole_number(usage.get("prompt_tokens", usage.get("input_tokens")))
    if found is not None:
        answer.input_tokens = found
    found = whole_number(usage.get("completion_tokens", usage.get("output_tokens")))
    if found is not None:
        answer.output_tokens = found
    for details in ("completion_tokens_details", "output_tokens_details"):
        inner = usage.get(details)
        if isinstance(inner, dict):
            found = whole_number(inner.get("reasoning_tokens"))
            if found is not None:
                answer.reasoning_tokens = found
    for details in ("prompt_tokens_details", "input_tokens_details"):
        inner = usage.get(details)
        if isinstance(inner, dict):
            found = whole_number(inner.get("cached_tokens"))
            if found is not None:
                answer.cached_tokens = found
    # SGLang's place for it
    found = whole_number(usage.get("reasoning_tokens"))
    if found is not None and answer.reasoning_tokens is None:
        answer.reasoning_tokens = found
