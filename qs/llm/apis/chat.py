"""OpenAI's chat completions, as OpenAI, vLLM, SGLang, TGI, llama.cpp and Ollama speak them."""

from __future__ import annotations

import re
from typing import Any

from qs.llm.answer import Answer, Channel, Delta
from qs.llm.apis.api import Event
from qs.llm.apis.fields import (
    as_text,
    bearer,
    listed_tokens,
    loaded,
    read_beside,
    read_finish,
)
from qs.llm.apis.openai import content_of, looks_whole, read_around, request_body
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

_CONTENT, _REASONING, _TOOL_CALL = Channel.CONTENT, Channel.REASONING, Channel.TOOL_CALL
_new = tuple.__new__
_TOKEN = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|arguments)"\s*:\s*"[^"]')


class Chat:
    path = "chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        messages = [each.as_sent() for each in prompt.messages]
        return request_body({"messages": messages}, prompt, asked, model, "max_completion_tokens")

    def read_event(self, event: Event, answer: Answer) -> None:
        at_ns, _, data, name = event
        content = content_of(data, answer)
        if content is None:
            return
        deltas = answer.deltas
        before = len(deltas)
        choices = content.get("choices")
        if type(choices) is list:
            for choice in choices:
                if type(choice) is not dict:
                    continue
                delta = choice.get("delta")
                if type(delta) is dict:
                    text = delta.get("content")
                    if len(delta) == 1 and type(text) is str:
                        # Nearly all events are like this.
                        if text:
                            index = choice.get("index", 0)
                            deltas.append(_new(Delta, (at_ns, _CONTENT, text, index)))
                    elif delta:
                        _read_message(delta, at_ns, choice.get("index", 0), answer)
                elif type(choice.get("message")) is dict:
                    # Some send the whole message in a stream.
                    _read_message(choice["message"], at_ns, choice.get("index", 0), answer)
                if choice.get("finish_reason"):
                    read_finish(choice, answer)
                if choice.get("logprobs") or "token_ids" in choice:
                    answer.listed_tokens += listed_tokens(choice)
        read_around(content, answer, name, before)

    def read_whole(self, body: bytes, answer: Answer) -> None:
        content = loaded(body)
        if not isinstance(content, dict):
            return
        choices = content.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                if isinstance(choice.get("message"), dict):
                    _read_message(choice["message"], 0, choice.get("index", 0), answer)
                if choice.get("finish_reason"):
                    read_finish(choice, answer)
                answer.ended = True
        read_beside(content, answer)

    def looks_whole(self, body: bytes, streamed: bool) -> bool:
        return looks_whole(body, streamed, _TOKEN)


def _read_message(message: dict[str, Any], at_ns: int, index: int, answer: Answer) -> None:
    """A delta, or a whole message."""
    deltas = answer.deltas
    # OpenRouter, and vLLM from 2026 on, say `reasoning`; all others `reasoning_content`. Who sends
    # both says the same thing twice.
    text = message.get("reasoning_content") or message.get("reasoning")
    if text and isinstance(text, str):
        deltas.append(Delta(at_ns, _REASONING, text, index))
    text = message.get("content")
    for part in text if isinstance(text, list) else (text,):
        if isinstance(part, dict):
            part = part.get("text")
        if part and isinstance(part, str):
            deltas.append(Delta(at_ns, _CONTENT, part, index))
    text = message.get("refusal")
    if text and isinstance(text, str):
        deltas.append(Delta(at_ns, _CONTENT, text, index))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else (calls,):
        if isinstance(call, dict):
            _read_function(call.get("function"), at_ns, index, answer)
    _read_function(message.get("function_call"), at_ns, index, answer)


def _read_function(function: Any, at_ns: int, index: int, answer: Answer) -> None:
    """Its name and its arguments are what the model wrote; its id is the server's."""
    if isinstance(function, dict):
        text = as_text(function.get("name")) + as_text(function.get("arguments"))
        if text:
            answer.deltas.append(Delta(at_ns, _TOOL_CALL, text, index))
