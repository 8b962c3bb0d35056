"""What the APIs have in common: fields of requests, and reading what a server may have made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from qs.llm.answer import Answer, Finish
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

# What a server of any kind calls an end.
_FINISHES: dict[str, Finish | None] = {
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
    # Some say in words that there is none yet.
    "null": None,
    "none": None,
}
MOST_ERROR_CHARACTERS = 300
# A count of more than that is none: no model takes or gives so many in one request.
MOST_TOKENS = 1 << 27


def merged(ours: Mapping[str, Any], asked: LlmAsked, prompt: Prompt) -> dict[str, Any]:
    """The user's fields over ours, the prompt's over both; without those that are None."""
    fields = {**ours, **asked.body, **prompt.body}
    return {name: value for name, value in fields.items() if value is not None}


def repeatable(asked: LlmAsked, *, seed: bool = False) -> dict[str, Any]:
    """What makes a model answer a prompt as it did before, where it can; `seed`: the API has one.
    `--body temperature=null` leaves it out.
    """
    if not asked.greedy:
        return {}
    return {"temperature": 0, **({"seed": asked.seed} if seed else {})}


def lengths(
    prompt: Prompt, asked: LlmAsked, most: str, *others: str, exact: bool = False
) -> dict[str, Any]:
    """How long the answer is to be: `most` is what the API calls it. Where the user says it, under
    that name or another, ours is not sent. `exact`: the API's servers know (vLLM, SGLang) that an
    answer shall not be shorter either, or not shorter than the prompt's least.
    """
    told = {**asked.body, **prompt.body}
    if prompt.output_tokens is None or any(name in told for name in (most, *others)):
        return {}
    sent: dict[str, Any] = {most: prompt.output_tokens}
    least = prompt.output_tokens if prompt.min_tokens is None else prompt.min_tokens
    if exact and asked.exact_lengths == "always" and least:
        sent |= {"min_tokens": least}
        if least == prompt.output_tokens:
            sent |= {"ignore_eos": True}
    return sent


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def loaded(data: bytes) -> Any:
    """What the JSON says; None for what is none. Python's own writer makes NaN and Infinity, others
    cut a pair of surrogates in two, or a letter of several bytes, or write Latin-1: these are read
    as null, as "?" and as U+FFFD, which is what the standard of events makes of the latter.
    """
    try:
        return orjson.loads(data)
    except ValueError:
        if data[:1] != b"{":
            return None
    try:
        text = data.decode("utf-8", "replace")
        content = json.loads(text, parse_constant=lambda name: None)
        return orjson.loads(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def finish_of(word: object) -> Finish | None:
    """None as long as it has not ended."""
    if not word:
        return None
    return _FINISHES.get(word, Finish.OTHER) if isinstance(word, str) else Finish.OTHER


def whole_number(value: object) -> int | None:
    """A count of a server's; None for what cannot be one. Some write it as 12.0."""
    if type(value) is int:
        return value if 0 <= value < MOST_TOKENS else None
    if not isinstance(value, float):
        return None
    return int(value) if 0 <= value < MOST_TOKENS and value == int(value) else None


def as_text(content: Any) -> str:
    """Texts as they are, None as nothing, all else as JSON."""
    if content is None or isinstance(content, str):
        return content or ""
    try:
        return orjson.dumps(content).decode()
    except (TypeError, ValueError):
        return ""


def error_of(content: Any, name: bytes = b"") -> str | None:
    """What an error says, in any of the shapes that servers give it; None: there is none. `name` is
    the event's.
    """
    if not isinstance(content, dict):
        return None
    told = content.get("error")
    if not told:
        named = content.get("object") == "error" or content.get("type") == "error"
        if not named and name != b"error":
            return None
        told = content
    if isinstance(told, dict):
        names = ("message", "msg", "detail", "error", "type", "code")
        told = next((told[each] for each in names if told.get(each)), told)
    return " ".join(as_text(told).split())[:MOST_ERROR_CHARACTERS] or "error"


def listed_tokens(choice: Mapping[str, Any]) -> int:
    """How many tokens an event names one by one: `token_ids` (vLLM's `return_token_ids`), or the
    logprobs that were asked for, of chat or of completions.
    """
    listed = choice.get("token_ids")
    if isinstance(listed, list):
        return len(listed)
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, dict):
        for name in ("content", "tokens", "token_logprobs"):
            if isinstance(logprobs.get(name), list):
                return len(logprobs[name])
    return 0


def read_usage(usage: Any, answer: Answer) -> None:
    """OpenAI's usage under either pair of names; the last one counts, where each event has it."""
    if not isinstance(usage, dict):
        return
    get = usage.get
    found = whole_number(get("prompt_tokens", get("input_tokens")))
    answer.input_tokens = answer.input_tokens if found is None else found
    found = whole_number(get("completion_tokens", get("output_tokens")))
    answer.output_tokens = answer.output_tokens if found is None else found
    if len(usage) == 3 and "total_tokens" in usage:
        return
    # SGLang says it here, all others in the details.
    found = whole_number(get("reasoning_tokens"))
    answer.reasoning_tokens = answer.reasoning_tokens if found is None else found
    for details in ("completion_tokens_details", "output_tokens_details"):
        if isinstance(get(details), dict):
            found = whole_number(usage[details].get("reasoning_tokens"))
            answer.reasoning_tokens = answer.reasoning_tokens if found is None else found
    for details in ("prompt_tokens_details", "input_tokens_details"):
        if isinstance(get(details), dict):
            found = whole_number(usage[details].get("cached_tokens"))
            answer.cached_tokens = answer.cached_tokens if found is None else found


def read_beside(content: Mapping[str, Any], answer: Answer, name: bytes = b"") -> None:
    """What stands beside the choices, in an event called `name` or in a body."""
    if content.get("usage"):
        read_usage(content["usage"], answer)
    if "timings" in content:
        read_timings(content["timings"], answer)
    if not answer.model:
        model = content.get("model")
        answer.model = model if isinstance(model, str) else ""
    if "choices" not in content or "error" in content:
        answer.error = answer.error or error_of(content, name)


def read_timings(timings: Any, answer: Answer) -> None:
    """The times that a llama.cpp server states of itself, in its last event or its body, numbers
    by name as they stand: prompt_ms, predicted_ms, prompt_n, predicted_n, cache_n.
    """
    if isinstance(timings, dict):
        answer.timings = {
            name: float(value)
            for name, value in timings.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }


def read_finish(choice: Mapping[str, Any], answer: Answer) -> None:
    """Of a choice that names its finish. OpenRouter names an error so, beside what it says."""
    word = choice["finish_reason"]
    if word == "error":
        answer.error = answer.error or error_of(choice) or "finish_reason: error"
    answer.finish = finish_of(word) or answer.finish
