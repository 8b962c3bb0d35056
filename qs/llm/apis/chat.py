"""OpenAI's chat completions, as OpenAI, vLLM, SGLang, TGI, llama.cpp and Ollama speak them."""

from __future__ import annotations

from typing import Any

from qs.llm.answer import Answer, Channel, Delta
from qs.llm.apis.api import Event
from qs.llm.apis.fields import (
    bearer,
    error_of,
    finish_of,
    lengths,
    loaded,
    merged,
    orjson_text,
    read_usage,
)
from qs.llm.apis.timings import read_timings
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

DONE = b"[DONE]"


class Chat:
    path = "chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "model": model,
            "messages": [{"role": each.role, "content": each.content} for each in prompt.messages],
            # TGI, llama.cpp and Ollama know this name of it alone
            **lengths(prompt, asked, "max_tokens", "max_completion_tokens"),
            "stream": asked.stream,
        }
        if asked.stream:
            ours["stream_options"] = {"include_usage": True}
        return merged(ours, asked, prompt)

    def read_event(self, event: Event, answer: Answer) -> None:
        data = event.data
        if data == DONE:
            answer.ended = True
            return
        content = loaded(data)
        if not isinstance(content, dict):
            answer.other_events += 1
            return
        before = len(answer.deltas)
        choices = content.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    # Some send a whole message in a stream.
                    delta = choice.get("delta") or choice.get("message")
                    if isinstance(delta, dict):
                        _read_message(delta, event.at_ns, answer)
                    finish = choice.get("finish_reason")
                    if finish:
                        answer.finish = finish_of(finish)
        if len(answer.deltas) == before:
            answer.other_events += 1
        _read_rest(content, answer, event.name)

    def read_whole(self, body: bytes, answer: Answer) -> None:
        content = loaded(body)
        if not isinstance(content, dict):
            return
        choices = content.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                message = choice.get("message")
                if isinstance(message, dict):
                    _read_message(message, 0, answer)
                answer.finish = finish_of(choice.get("finish_reason")) or answer.finish
                answer.ended = True
        _read_rest(content, answer)


def _read_rest(content: dict[str, Any], answer: Answer, name: bytes = b"") -> None:
    """What stands beside the choices."""
    if content.get("usage"):
        read_usage(content["usage"], answer)
    if "timings" in content:
        read_timings(content["timings"], answer)
    if not answer.model and isinstance(content.get("model"), str):
        answer.model = content["model"]
    if answer.error is None and ("choices" not in content or "error" in content):
        answer.error = error_of(content)
        if answer.error is None and name == b"error":
            answer.error = error_of({"error": content})


def _read_message(message: dict[str, Any], at_ns: int, answer: Answer) -> None:
    """A delta, or a whole message."""
    deltas = answer.deltas
    # vLLM of 2025 and OpenRouter: `reasoning`; all others `reasoning_content`. One that sends both
    # says the same thing twice.
    text = message.get("reasoning_content") or message.get("reasoning")
    if text and isinstance(text, str):
        deltas.append(Delta(at_ns, Channel.REASONING, text))
    text = message.get("content")
    if text:
        if isinstance(text, str):
            deltas.append(Delta(at_ns, Channel.CONTENT, text))
        elif isinstance(text, list):
            for part in text:
                if isinstance(part, dict) and part.get("text") and isinstance(part["text"], str):
                    deltas.append(Delta(at_ns, Channel.CONTENT, part["text"]))
    text = message.get("refusal")
    if text and isinstance(text, str):
        deltas.append(Delta(at_ns, Channel.CONTENT, text))
    calls = message.get("tool_calls")
    if calls:
        for each in calls if isinstance(calls, list) else [calls]:
            if isinstance(each, dict):
                _read_tool_call(each.get("function"), at_ns, answer)
    if message.get("function_call"):
        _read_tool_call(message["function_call"], at_ns, answer)


def _read_tool_call(function: Any, at_ns: int, answer: Answer) -> None:
    """Its name and its arguments are what the model wrote."""
    if not isinstance(function, dict):
        return
    name, arguments = function.get("name"), function.get("arguments")
    text = name if isinstance(name, str) else ""
    if isinstance(arguments, str):
        text += arguments
    elif isinstance(arguments, dict):
        text += orjson_text(arguments)
    if text:
        answer.deltas.append(Delta(at_ns, Channel.TOOL_CALL, text))
