"""OpenAI's completions of a text, as OpenAI, vLLM, SGLang, TGI, llama.cpp and Ollama speak them."""

from __future__ import annotations

import re
from typing import Any

from qs.llm.answer import Answer, Channel, Delta
from qs.llm.apis.api import Event
from qs.llm.apis.fields import (
    bearer,
    listed_tokens,
    loaded,
    read_beside,
    read_finish,
)
from qs.llm.apis.openai import content_of, looks_whole, read_around, request_body
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

_CONTENT, _REASONING = Channel.CONTENT, Channel.REASONING
_new = tuple.__new__
_TOKEN = re.compile(rb'"(?:text|reasoning_content|reasoning)"\s*:\s*"[^"]')


class Completions:
    path = "completions"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        return request_body({"prompt": prompt.text}, prompt, asked, model)

    def read_event(self, event: Event, answer: Answer) -> None:
        at_ns, _, data, name = event
        content = content_of(data, answer)
        if content is None:
            return
        before = len(answer.deltas)
        _read_choices(content.get("choices"), at_ns, answer)
        read_around(content, answer, name, before)

    def read_whole(self, body: bytes, answer: Answer) -> None:
        content = loaded(body)
        if isinstance(content, dict):
            _read_choices(content.get("choices"), 0, answer)
            answer.ended = isinstance(content.get("choices"), list)
            read_beside(content, answer)

    def looks_whole(self, body: bytes, streamed: bool) -> bool:
        return looks_whole(body, streamed, _TOKEN)


def _read_choices(choices: Any, at_ns: int, answer: Answer) -> None:
    for choice in choices if type(choices) is list else ():
        if type(choice) is not dict:
            continue
        if "reasoning_content" in choice or "reasoning" in choice:
            text = choice.get("reasoning_content") or choice.get("reasoning")
            if text and type(text) is str:
                made = _new(Delta, (at_ns, _REASONING, text, choice.get("index", 0)))
                answer.deltas.append(made)
        text = choice.get("text")
        if text and type(text) is str:
            answer.deltas.append(_new(Delta, (at_ns, _CONTENT, text, choice.get("index", 0))))
        if choice.get("finish_reason"):
            read_finish(choice, answer)
        if choice.get("logprobs") or "token_ids" in choice:
            answer.listed_tokens += listed_tokens(choice)
