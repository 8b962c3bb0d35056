"""What a user says about a language model's endpoint beside its address: which API, which prompts,
how long. `Asked.llm` of qs.remote.asked holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Api = Literal["chat", "completions", "embeddings", "responses", "messages"]
APIS: tuple[Api, ...] = ("chat", "completions", "embeddings", "responses", "messages")


@dataclass(frozen=True)
class LlmAsked:
    """As it was typed; qs.remote.asked checks it."""

    api: Api = "chat"
    stream: bool = True
    # `@env:NAME` or `@file:PATH`
    api_key: str = ""
    # fields of every request's body, over our own
    body: Mapping[str, Any] = field(default_factory=dict)
    # a file of prompts, and its format; "" and no lengths: short texts of our own
    prompts: str = ""
    prompt_format: Literal["auto", "jsonl", "sharegpt", "mooncake", "burstgpt", "azure", "csv"] = (
        "auto"
    )
    # lengths in tokens as typed: "128", "normal:512,64", "lognormal:512,0.5", "histogram:FILE"
    input_tokens: str = ""
    output_tokens: str = ""
    # a share of each synthetic prompt that it has in common with others, and how many such prefixes
    prefix_share: float = 0.0
    prefixes: int = 1
    # how many distinct prompts; None: as many as the file has, or 64
    prompt_count: int | None = None
    # conversations: turns of each synthetic one; whose answers are its history
    turns: int = 1
    history: Literal["served", "recorded"] = "served"
    # a tokenizer.json, or a folder with one, "server" (its endpoint), "none"; "": what there is
    tokenizer: str = ""
    # whether min_tokens and ignore_eos are sent where lengths are stated
    exact_lengths: Literal["auto", "always", "never"] = "auto"
    # how often an answer 429 or 503 with Retry-After is obeyed; 0: it has failed
    retries: int = 0
    # whether the answers are scored by what the prompts' `answer` says
    score: Literal["", "exact", "choice"] = ""
    # of prompts and lengths
    seed: int = 0
