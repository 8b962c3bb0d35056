"""Prompts of stated lengths before a real model: the server counts them as they were drawn, and its
cache knows as much of each as was stated, to the token.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from qs.llm.asked import LlmAsked
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.source import prompts_of
from tests.servers.llama import MODEL, Llama, running

pytestmark = pytest.mark.slow
TOKENS = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    with running(tmp_path_factory) as llama:
        yield llama


def made(server: Llama, **asked: Any) -> PromptSet:
    def ask(path: str, body: Any) -> Any:
        try:
            return server.asked(path, body)
        except urllib.error.HTTPError as error:
            error.close()
            return None

    found = prompts_of(LlmAsked(input_tokens=str(TOKENS), prompt_count=5, **asked), ask, MODEL)
    assert "all counted by the server's /tokenize (llama.cpp): as drawn" in found.about["lengths"]
    return found


def served(server: Llama, prompts: PromptSet) -> list[tuple[int, int]]:
    """(tokens of the prompt, those of them that the cache knew) of each, one after another."""
    found = []
    for prompt in prompts.prompts:
        body = {
            "model": MODEL,
            "messages": [each.as_sent() for each in prompt.messages],
            "max_tokens": 1,
            "cache_prompt": True,
            "id_slot": 0,
        }
        usage = server.asked("/v1/chat/completions", body)["usage"]
        found.append((usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]))
    return found


def test_the_cache_knows_what_was_stated(server: Llama) -> None:
    apart = served(server, made(server))
    assert len({given for given, _ in apart}) == 1
    template = apart[0][0] - TOKENS
    assert template > 0
    # of prompts that have nothing in common, the template's beginning
    (begins,) = {cached for _, cached in apart[1:]}
    assert 0 < begins < template
    half = served(server, made(server, prefix_share=0.5, seed=1))
    assert {given for given, _ in half} == {TOKENS + template}
    assert {cached for _, cached in half[1:]} == {begins + TOKENS // 2}
