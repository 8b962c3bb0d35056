"""What a case of a language model comes to, beside its measures: tokens per second, outcomes,
goodput, lengths, and single requests for a picture.
"""

from __future__ import annotations

from qs.result.part import Count, Number, Part


class GoodputEntry(Part):
    """Requests that kept every bound."""

    goals: list[str] = []
    """As they are typed: ttft=200ms."""
    good: Count = None
    good_per_s: Number = None
    half_width: Number = None
    """Of the 95 % interval of `good_per_s`."""


class TokenSeriesEntry(Part):
    """By windows of time from the start."""

    window_s: Number = None
    output_tokens: list[int] = []
    in_flight: list[int] = []
    ttft_p50_ms: list[Number] = []


class RequestEntry(Part):
    """One request, in ms from the start; null where it has no such moment."""

    due_ms: Number = None
    sent_ms: Number = None
    first_token_ms: Number = None
    last_ms: Number = None
    input_tokens: Count = None
    output_tokens: Count = None
    outcome: str = ""


class LengthsEntry(Part):
    """How many requests had how many tokens: [tokens, requests] pairs, by rising tokens."""

    asked: list[tuple[int, int]] = []
    served: list[tuple[int, int]] = []


class TokensEntry(Part):
    """A case in tokens. Null: not measured."""

    api: str = ""
    streamed: bool | None = None
    counted_by: dict[str, Count] = {}
    """Requests by who counted their tokens: "server's usage", "tokenizer NAME"."""
    differing: Count = None
    """Requests whose tokens the server and the tokenizer count differently."""
    input_tokens: Count = None
    output_tokens: Count = None
    input_per_s: Number = None
    output_per_s: Number = None
    peak_output_per_s: Number = None
    """The most in a second."""
    outcomes: dict[str, Count] = {}
    goodput: GoodputEntry | None = None
    events: Count = None
    client_us_per_event: Number = None
    client_us_per_stream: Number = None
    series: TokenSeriesEntry | None = None
    sample: list[RequestEntry] = []
    input_lengths: LengthsEntry | None = None
    output_lengths: LengthsEntry | None = None
    server_times: dict[str, dict[str, Number]] = {}
    """By name ("prefill", "decode"): what the server states, what the client saw, their difference,
    medians in ms."""
