"""OpenAI's completions of a text, as OpenAI, vLLM, SGLang, TGI, llama.cpp and Ollama speak them."""

from __future__ import annotations

import re
from typing import Any

import orjson

from qs.llm.answer import Answer, Channel, Delta
from qs.llm.apis.api import Event
from qs.llm.apis.fields import (
    bearer,
    lengths,
    listed_tokens,
    loaded,
    merged,
    read_beside,
    read_finish,
    repeatable,
)
from qs.llm.apis.whole import whole_body, whole_stream
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

_CONTENT, _REASONING = Channel.CONTENT, Channel.REASONING
_new = tuple.__new__
_TOKEN = re.compile(rb'"(?:text|reasoning_content|reasoning)"\s*:\s*"[^"]')
_DONE = (b"\ndata: [DONE]", b"\ndata:[DONE]")
_FINISH = (b'"finish_reason":"', b'"finish_reason": "')


class Completions:
    path = "completions"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "model": model,
            "prompt": prompt.text,
            **lengths(prompt, asked, "max_tokens", exact=True),
            "stream": asked.stream,
            **repeatable(asked, seed=True),
        }
        if asked.stream:
            ours["stream_options"] = {"include_usage": True}
        return merged(ours, asked, prompt)

    def read_event(self, event: Event, answer: Answer) -> None:
        at_ns, _, data, name = event
        try:
            content = orjson.loads(data)
        except ValueError:
            content = loaded(data)
        if type(content) is not dict:
            if data.strip() == b"[DONE]":
                answer.ended = True
            else:
                answer.other_events += 1
            return
        before = len(answer.deltas)
        _read_choices(content.get("choices"), at_ns, answer)
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

    def read_whole(self, body: bytes, answer: Answer) -> None:
        content = loaded(body)
        if isinstance(content, dict):
            _read_choices(content.get("choices"), 0, answer)
            answer.ended = isinstance(content.get("choices"), list)
            read_beside(content, answer)

    def looks_whole(self, body: bytes, streamed: bool) -> bool:
        if streamed:
            return whole_stream(body, _TOKEN, _DONE, _FINISH)
        return whole_body(body, _TOKEN)


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
