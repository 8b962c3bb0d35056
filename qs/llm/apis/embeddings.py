"""OpenAI's embeddings: a text becomes a vector. Nothing is generated, and nothing streamed."""

from __future__ import annotations

import re
from typing import Any

from qs.llm.answer import Answer
from qs.llm.apis.api import Event
from qs.llm.apis.fields import bearer, loaded, merged, read_beside
from qs.llm.apis.whole import whole_body
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt

_NUMBER = re.compile(rb'"embedding"\s*:\s*(?:\[\s*[-\d]|"[^"])')


class Embeddings:
    path = "embeddings"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        return merged({"model": model, "input": prompt.text}, asked, prompt)

    def read_event(self, event: Event, answer: Answer) -> None:
        answer.other_events += 1

    def read_whole(self, body: bytes, answer: Answer) -> None:
        content = loaded(body)
        if not isinstance(content, dict):
            return
        vectors = content.get("data")
        if isinstance(vectors, list):
            first = vectors[0] if vectors else None
            vector = first.get("embedding") if isinstance(first, dict) else None
            if isinstance(vector, list):
                answer.dimensions = len(vector)
            elif isinstance(vector, str):
                # base64 of float32: four letters are three bytes.
                answer.dimensions = (len(vector) * 3 // 4 - vector[-2:].count("=")) // 4
            answer.ended = True
        # Instead of choices it has data.
        read_beside({"choices": (), **content} if answer.ended else content, answer)

    def looks_whole(self, body: bytes, streamed: bool) -> bool:
        return whole_body(body, _NUMBER)
